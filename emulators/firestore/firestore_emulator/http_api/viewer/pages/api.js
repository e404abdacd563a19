/* The calls of the emulator: REST for documents, and its own list of databases. */

const UNREACHABLE = "The emulator does not respond. It may have ended; start it again, then refresh.";

/** A request that failed. ``status`` is the code of the API, such as FAILED_PRECONDITION. */
export class ApiError extends Error {
  constructor(message, status = "") {
    super(message);
    this.status = status;
  }
}

async function call(url, { method = "GET", body, signal } = {}) {
  let response;
  let text;
  try {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(UNREACHABLE);
  }
  if (response.ok) return JSON.parse(text);
  let error;
  try {
    error = [JSON.parse(text)].flat()[0].error; // that of a query is in an array
  } catch {
    throw new ApiError(text.trim() || `The emulator returned the status ${response.status}.`);
  }
  throw new ApiError(error.message, error.status);
}

export async function listDatabases(signal) {
  return (await call("/emulator/v1/databases", { signal })).databases;
}

/** A page of the ids of the collections below the root or a document. */
export async function listCollections(place, pageToken, signal) {
  const body = { pageSize: 100, ...(pageToken ? { pageToken } : {}) };
  const { collectionIds = [], nextPageToken } = await call(`/v1/${place.url}:listCollectionIds`, { method: "POST", body, signal });
  return { collectionIds, nextPageToken };
}

/** A page of the documents of a collection, with missing documents that have subcollections. */
export async function listDocuments(place, pageSize, pageToken, signal) {
  const parameters = new URLSearchParams({ pageSize, showMissing: "true" });
  if (pageToken) parameters.set("pageToken", pageToken);
  const { documents = [], nextPageToken } = await call(`/v1/${place.url}?${parameters}`, { signal });
  return { documents, nextPageToken };
}

export async function runQuery(place, structuredQuery, signal) {
  const results = await call(`/v1/${place.parent.url}:runQuery`, { method: "POST", body: { structuredQuery }, signal });
  return results.filter((result) => result.document).map((result) => result.document);
}

/** The document, or null if it does not exist. */
export async function getDocument(place, signal) {
  try {
    return await call(`/v1/${place.url}`, { signal });
  } catch (error) {
    if (error.status === "NOT_FOUND") return null;
    throw error;
  }
}

/** Replace all fields, if the document still has this update time. */
export async function replaceDocument(place, fields, updateTime) {
  return call(`/v1/${place.url}?${versioned(updateTime)}`, { method: "PATCH", body: { fields } });
}

export async function deleteDocument(place, updateTime) {
  await call(`/v1/${place.url}?${versioned(updateTime)}`, { method: "DELETE" });
}

const versioned = (updateTime) => new URLSearchParams({ "currentDocument.updateTime": updateTime });
