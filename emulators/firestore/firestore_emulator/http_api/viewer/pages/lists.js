/* The views of lists: databases, collections, and documents in pages or of a query. */

import * as api from "/emulator/viewer/api.js";
import { counted, labelled, make, replaceContent, timeOf } from "/emulator/viewer/dom.js";
import { Place } from "/emulator/viewer/place.js";
import { criteriaOf, queryForm, structuredQuery } from "/emulator/viewer/query.js";
import { preview } from "/emulator/viewer/values.js";

const PAGE_SIZE = 25;

/** A view has a heading, its content, and a function that reads and shows the data. */
export function homeView() {
  const shown = make("section", { "aria-label": "Databases" });
  const refresh = async (signal) => {
    const databases = await api.listDatabases(signal);
    const rows = databases.map(({ name, documents }) => make("li", null,
      make("a", { href: new Place([...name.split("/"), "documents"]).href }, name),
      make("span", { class: "soft" }, counted(documents, "document"))));
    replaceContent(shown,
      databases.length ? null : make("p", null, "The emulator has no database yet. A client creates one with its first request."),
      make("ul", { class: "rows" }, ...rows));
  };
  return { heading: "Databases", content: [shown, databaseForm()], refresh };
}

function databaseForm() {
  const project = make("input", { required: "", pattern: "[^\\/]+", autocapitalize: "off", spellcheck: "false", autocomplete: "off" });
  const database = make("input", { required: "", pattern: "[^\\/]+", autocapitalize: "off", spellcheck: "false", autocomplete: "off" });
  database.value = "(default)";
  const submit = (event) => {
    event.preventDefault();
    location.hash = new Place(["projects", project.value.trim(), "databases", database.value.trim(), "documents"]).href;
  };
  const fields = make("fieldset", { class: "filter" }, labelled("Project", project), labelled("Database", database), make("button", null, "Open"));
  return make("details", null, make("summary", null, "Open another database"),
    make("form", { onsubmit: submit, "aria-label": "Open another database" }, fields));
}

export function rootView(place) {
  const collections = collectionList(place, "This database has no documents.");
  return { heading: place.segments[1], content: [collections.content], refresh: collections.refresh };
}

/** The collections below the root or a document, in pages. */
export function collectionList(place, whenEmpty) {
  const content = make("section", null);
  const title = place.isRoot ? "Collections" : "Subcollections";
  const refresh = async (signal) => {
    const pageToken = place.parameters.get("collectionsToken");
    const { collectionIds, nextPageToken } = await api.listCollections(place, pageToken, signal);
    const rows = collectionIds.map((id) => make("li", null, make("a", { href: place.child(id).href }, id)));
    replaceContent(content, make("h3", null, title),
      rows.length ? null : make("p", { class: "soft" }, whenEmpty),
      make("ul", { class: "rows" }, ...rows),
      pages(place, pageToken, nextPageToken, "collectionsToken"));
  };
  return { content, refresh };
}

export function collectionView(place) {
  const criteria = criteriaOf(place);
  const query = criteria && structuredQuery(place, criteria);
  const shown = make("section", { "aria-label": "Documents" });
  const refresh = query
    ? async (signal) => {
      const documents = await api.runQuery(place, query, signal);
      const suffix = documents.length === criteria.limit ? ", which is the limit" : "";
      replaceContent(shown, make("p", { class: "soft" }, `The query found ${counted(documents.length, "document")}${suffix}.`), documentRows(documents));
    }
    : async (signal) => {
      const pageToken = place.parameters.get("pageToken");
      const { documents, nextPageToken } = await api.listDocuments(place, PAGE_SIZE, pageToken, signal);
      replaceContent(shown,
        documents.length ? null : make("p", { class: "soft" }, pageToken ? "This page has no documents any more." : "This collection has no documents."),
        documentRows(documents), pages(place, pageToken, nextPageToken, "pageToken"));
    };
  return { heading: place.id, content: [queryForm(place, criteria), shown], refresh };
}

function documentRows(documents) {
  return make("ul", { class: "rows" }, ...documents.map(({ name, fields, updateTime }) => {
    const place = Place.ofName(name);
    return make("li", null,
      make("a", { href: place.href }, place.id),
      make("span", { class: "soft" }, ...(updateTime ? ["Updated ", timeOf(updateTime)] : ["Missing, but has subcollections"])),
      updateTime ? make("code", null, preview(fields) || "No fields") : null);
  }));
}

function pages(place, token, nextToken, parameter) {
  if (!token && !nextToken) return null;
  return make("p", { class: "actions" },
    token ? make("a", { href: place.with({}).href }, "First page") : null,
    nextToken ? make("a", { href: place.with({ [parameter]: nextToken }).href }, "Next page") : null);
}
