"use strict";

/* The shop page: a client of order's API.
 *
 * It says in words what each response means. If the outcome of an order is unknown, it repeats the request
 * with the same Idempotency-Key, so that there is one order, however often it repeats.
 */

const PAGE_SIZE = 24;
const REFRESH_MS = 2000;
const SLOW_MS = 1000;
const MAX_ROWS = 20;
const MAX_ATTEMPTS = 20;
/** Statuses after which a request is repeated; 0 means that there was no response. */
const RETRYABLE = new Set([0, 502, 503, 504]);
/** The order may have been placed. A 500 can have this type, too. */
const OUTCOME_UNKNOWN = "urn:problem-type:order-outcome-unknown";
const CANCELLABLE = new Set(["confirmed", "pending", "cancelling"]);
const MEANING = {
  pending: "Inventory was unavailable. The shop confirms or rejects the order at its next check after inventory is back.",
  cancelling: "The shop completes the cancellation at its next check after inventory is back.",
  fulfilling: "The shop records the shipping at its next check after inventory is back.",
};

const at = (id) => document.getElementById(id);

/** An element with attributes and children; text is never read as HTML. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Set a text only if it differs, so that screen readers do not repeat it and selections stay. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function money(amount, currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).format(amount);
}

/** The total, rounded to the decimals of the currency: binary fractions leave a remainder. */
function total(price, quantity, currency) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return Number((price * quantity).toFixed(format.resolvedOptions().maximumFractionDigits));
}

const formatted = (number) => number.toLocaleString("en");
const plural = (noun, number) => (number === 1 ? noun : `${noun}s`);

/** 128 random bits. crypto.randomUUID does not exist over plain HTTP. */
function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function announce(text, kind = "good") {
  at("news").replaceChildren(make("p", { class: kind }, text));
  clearTimeout(announce.timer);
  if (kind === "good") announce.timer = setTimeout(() => at("news").replaceChildren(), 6000);
}

// ---- The customer -----------------------------------------------------------------------------

/** Sent with every request, and stored only in this variable. */
let token = null;

/** The shop requires a token, which names the customer: so the page no longer does. */
function requireToken() {
  at("token-form").hidden = false;
  at("customer-form").hidden = true;
}

/** Whether the shop requires a token that the customer has not entered; then ask for it. */
function tokenIsMissing() {
  const missing = !token && !at("token-form").hidden;
  if (missing) {
    announce("Enter your token first.", "warn");
    at("token").focus();
  }
  return missing;
}

/** The customer in a request; empty if the token names the customer. */
const customerField = () => (token ? {} : { customer_id: customer() });

// ---- Requests ---------------------------------------------------------------------------------

/** Send a request, and return its status and body; status 0 if there was no response. */
async function send(method, path, { body, headers } = {}) {
  const slow = setTimeout(
    () => announce("Waiting for a response. If no pod is running, one starts first (cold start).", "warn"),
    SLOW_MS,
  );
  const started = performance.now();
  let result = { status: 0, body: null, retryAfter: null };
  let received = null;
  try {
    const response = await fetch(path, {
      method,
      headers: {
        ...(body ? { "Content-Type": "application/json" } : {}),
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
    });
    received = response.headers;
    result = { status: response.status, body: null, retryAfter: Number(received.get("Retry-After")) };
    if (/[/+]json/.test(received.get("Content-Type") ?? "")) result.body = await response.json();
  } catch {
    result.status = 0; // no connection, or a broken one: the order may have been placed
  }
  clearTimeout(slow);
  if (result.status === 401) requireToken();
  if (at("news").textContent.startsWith("Waiting for a response")) at("news").replaceChildren();
  record(`${method} ${path.split("?")[0]}`, result.status, {
    clientMs: performance.now() - started,
    parts: timings(received?.get("Server-Timing")),
    pod: received?.get("X-Pod") ?? null,
    revision: received?.get("X-Revision") ?? null,
  });
  return result;
}

function reason({ status, body }) {
  if (status === 0) return "No response: the connection failed. Check your network.";
  if (body?.lines) return explain(body);
  return body?.detail ?? `The status is ${status}, without a reason.`;
}

/** A problem or a rejection as a sentence; the products that are short with their numbers. */
function explain({ detail, lines }) {
  if (!lines) return detail;
  return lines.map(({ product_id: id, requested, available_quantity: available }) =>
    `${productName(id)}: ${formatted(available)} in stock, you asked for ${formatted(requested)}.`).join(" ");
}

// ---- Requests and pods ------------------------------------------------------------------------

const pods = new Map();

/** Milliseconds by metric of Server-Timing; undefined for a metric without a duration. */
function timings(header) {
  const metrics = (header ?? "").split(",").filter((each) => each.trim());
  return new Map(metrics.map((each) => {
    const duration = each.match(/;\s*dur=([\d.]+)/)?.[1];
    return [each.split(";")[0].trim(), duration === undefined ? undefined : Number(duration)];
  }));
}

function record(request, status, { clientMs, parts, pod, revision }) {
  const start = parts.size === 0 ? "" : parts.has("cold") ? "cold" : "warm";
  const serverMs = parts.get("total");
  const breakdown = [...parts].filter(([name, ms]) => name !== "total" && ms !== undefined);
  const cell = (text, kind) => make("td", { class: kind ?? null }, text);
  at("request-list").prepend(
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("code", {}, request)),
      cell(status === 0 ? "none" : String(status)),
      make("td", {}, start ? make("span", { class: `status ${start}` }, start) : ""),
      cell(clientMs.toFixed(0), "number"),
      cell(serverMs === undefined ? "" : serverMs.toFixed(1), "number"),
      cell(breakdown.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", ")),
      make("td", {}, make("code", {}, pod ?? "")),
    ),
  );
  while (at("request-list").rows.length > MAX_ROWS) at("request-list").lastElementChild.remove();
  if (pod !== null) count(pod, revision, start === "cold");
}

/** Record the request for the page itself, which browsers report over HTTPS and on localhost. */
function recordOpening() {
  const [opening] = performance.getEntriesByType("navigation");
  const metrics = opening?.serverTiming ?? [];
  if (metrics.length === 0) return;
  record("GET this page", opening.responseStatus, {
    clientMs: opening.responseStart - opening.requestStart,
    parts: new Map(metrics.map(({ name, duration }) => [name, name === "cold" ? undefined : duration])),
    pod: null,
    revision: null,
  });
}

function count(pod, revision, cold) {
  if (!pods.has(pod)) {
    const element = make("li", {}, make("code", {}, pod), make("span", {}));
    at("pods").append(element);
    pods.set(pod, { responses: 0, cold: false, element });
  }
  const seen = pods.get(pod);
  seen.responses += 1;
  seen.cold ||= cold;
  const of = revision ? `, revision ${revision}` : "";
  const start = seen.cold ? ", with its cold start" : "";
  setText(seen.element.lastElementChild, ` ${seen.responses} ${plural("response", seen.responses)}${of}${start}`);
  setText(at("pods-state"), `Responses from ${pods.size} ${plural("pod", pods.size)}.`);
}

// ---- Products ---------------------------------------------------------------------------------

const products = new Map();
let productPages = 1;

async function refreshProducts() {
  let cursor = null;
  for (let page = 0; page < productPages; page += 1) {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const result = await send("GET", `products?limit=${PAGE_SIZE}${from}`);
    if (result.status !== 200) {
      at("products-state").className = "notice bad";
      const old = products.size ? " The list below is old." : "";
      setText(at("products-state"), `The products cannot be loaded. ${reason(result)}${old}`);
      return;
    }
    result.body.products.forEach(showProduct);
    cursor = result.body.next_cursor;
    if (cursor === null) break;
  }
  at("more-products").hidden = cursor === null;
  at("products-state").className = "notice";
  setText(at("products-state"), products.size ? "" : "There are no products yet.");
}

function showProduct(product) {
  const { product_id: id, available_quantity: available, reserved_quantity: reserved } = product;
  if (!products.has(id)) products.set(id, newProduct(id));
  const shown = products.get(id);
  shown.product = product;
  setText(shown.name, product.name);
  setText(shown.price, money(product.price, product.currency));
  setText(shown.left, formatted(available));
  setText(shown.rest, ` available, ${formatted(reserved)} reserved`);
  shown.meter.max = Math.max(1, available + reserved);
  shown.meter.value = available;
  shown.meter.setAttribute("aria-label", `${available} of ${available + reserved} available`);
  shown.stock.classList.toggle("out", available === 0);
  if (!shown.busy) {
    setText(shown.button, available === 0 ? "Out of stock" : "Order");
    shown.button.setAttribute("aria-disabled", String(available === 0));
  }
}

function newProduct(id) {
  const shown = {
    product: null,
    busy: false,
    name: make("h3", { id: `name-${id}` }),
    price: make("span", { class: "price" }),
    left: make("strong", {}),
    rest: make("span", {}),
    meter: make("meter", { min: "0" }),
    quantity: make("input", {
      type: "number", min: "1", max: "1000000", step: "1", value: "1", required: "",
      "aria-label": `Quantity of ${id}`,
    }),
    button: make("button", { class: "first", "aria-describedby": `name-${id}` }, "Order"),
  };
  shown.stock = make("p", { class: "stock" }, shown.left, shown.rest);
  const form = make("form", {
    onsubmit: (event) => {
      event.preventDefault();
      if (shown.button.getAttribute("aria-disabled") !== "true") order(shown);
    },
  }, shown.quantity, shown.button);
  const top = make("div", { class: "top" }, shown.name, shown.price);
  at("product-list").append(
    make("li", { "data-product": id }, top, shown.stock, shown.meter, make("code", { class: "soft" }, id), form),
  );
  return shown;
}

// ---- Placing ----------------------------------------------------------------------------------

async function order(shown) {
  if (tokenIsMissing()) return;
  const { product_id, price, currency, name } = shown.product;
  const quantity = shown.quantity.valueAsNumber;
  const body = {
    ...customerField(), product_id, quantity, expected_total: total(price, quantity, currency),
  };
  const headers = { "Idempotency-Key": freshKey() };
  if (at("keep").checked) headers.Prefer = "respond-async";
  shown.busy = true;
  setText(shown.button, "Ordering…");
  shown.button.setAttribute("aria-disabled", "true");
  await untilFinal(`${formatted(quantity)} × ${name}`, () => send("POST", "orders", { body, headers }), placed);
  shown.busy = false;
  showProduct(shown.product);
  await refresh();
}

function placed(result, what) {
  if (result.status === 201) return announce(`Ordered: ${what}.`);
  if (result.status === 202) return announce(`Pending: ${what}. ${MEANING.pending}`, "warn");
  return announce(`Not ordered: ${what}. ${reason(result)}`, "bad");
}

/** Repeat a request after its Retry-After until its outcome is final, or the customer stops it. */
async function untilFinal(what, attempt, then) {
  for (let attempts = 1; ; attempts += 1) {
    const result = await attempt();
    if (!RETRYABLE.has(result.status) && !outcomeUnknown(result)) return then(result, what);
    if (attempts === MAX_ATTEMPTS || !(await waitToRetry(what, result))) {
      return announce(`Stopped: ${what}. Its outcome is unknown. Check the orders below.`, "bad");
    }
  }
}

const outcomeUnknown = ({ body }) => body?.type === OUTCOME_UNKNOWN;

/** Show a countdown to the next attempt; false if the customer stops. */
function waitToRetry(what, result) {
  const cause = result.status === 0 ? "No response" : `Not possible now (${result.status})`;
  announce(`${cause}: ${what}. The page repeats the request. Repeats are safe: it takes effect once.`, "warn");
  return new Promise((resolve) => {
    let left = Math.max(1, result.retryAfter || 0);
    const text = make("span", {});
    const why = outcomeUnknown(result) ? "The order may have been placed." : reason(result);
    const update = () => setText(text, `${what}: ${why} Next attempt in ${left} s.`);
    const done = (again) => {
      clearInterval(timer);
      row.remove();
      resolve(again);
    };
    const timer = setInterval(() => {
      left -= 1;
      if (left <= 0) done(true);
      else update();
    }, 1000);
    const row = make(
      "li", { class: "warn" }, text,
      make("div", { class: "actions" },
        make("button", { type: "button", onclick: () => done(true) }, "Try now"),
        make("button", { type: "button", onclick: () => done(false) }, "Stop")),
    );
    update();
    at("waiting").append(row);
  });
}

// ---- Orders -----------------------------------------------------------------------------------

const customer = () => at("customer").value.trim();
const orders = new Map();
let orderPages = 1;
let whose = null;

async function listOrders() {
  const requested = token ? "your token" : customer();
  if (requested !== whose) {
    orders.clear();
    at("order-list").replaceChildren();
    [whose, orderPages] = [requested, 1];
    setText(at("whose"), requested);
  }
  const filter = Object.entries(customerField()).map(([name, id]) => `${name}=${encodeURIComponent(id)}&`).join("");
  const found = [];
  let cursor = null;
  for (let page = 0; page < orderPages; page += 1) {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const result = await send("GET", `orders?${filter}limit=${PAGE_SIZE}${from}`);
    if (requested !== whose) return; // the customer was changed during the request
    if (result.status === 401 && !token) {
      at("orders-state").className = "notice";
      setText(at("orders-state"), "Enter your token to place orders and to see them.");
      return;
    }
    if (result.status !== 200) {
      at("orders-state").className = "notice bad";
      setText(at("orders-state"), `The orders cannot be loaded. ${reason(result)}`);
      return;
    }
    found.push(...result.body.orders);
    cursor = result.body.next_cursor;
    if (cursor === null) break;
  }
  at("more-orders").hidden = cursor === null;
  at("orders-state").className = "notice";
  setText(at("orders-state"), found.length ? "" : "No orders yet.");
  found.forEach(showOrder);
  // Newest first. Rows in the right place are not moved, so that none loses the focus.
  found.reduceRight((next, { order_id: id }) => {
    const row = orders.get(id).row;
    if (!row.isConnected || row.nextElementSibling !== next) at("order-list").insertBefore(row, next);
    return row;
  }, null);
}

function showOrder(found) {
  const id = found.order_id;
  if (!orders.has(id)) orders.set(id, newOrder(id));
  const shown = orders.get(id);
  setText(shown.status, found.status);
  shown.status.className = `status ${found.status}`;
  const items = found.items.map((item) => `${formatted(item.quantity)} × ${nameOf(item)}`).join(", ");
  setText(shown.items, items);
  const time = new Date(found.created_at).toLocaleTimeString("en", { hourCycle: "h23" });
  const price = found.total_price === undefined ? "" : ` · ${money(found.total_price, found.currency)}`;
  setText(shown.when, time + price);
  setText(shown.more, found.rejection ? explain(found.rejection) : MEANING[found.status] ?? "");
  const focused = document.activeElement === shown.cancel;
  shown.cancel.hidden = !CANCELLABLE.has(found.status);
  shown.cancel.setAttribute("aria-label", `Cancel the order of ${items}, ${id}`);
  if (focused && shown.cancel.hidden) shown.items.focus();
}

/** A line of a pending order has no name: use that of the catalogue. */
function nameOf(item) {
  return item.name ?? productName(item.product_id);
}

const productName = (id) => products.get(id)?.product.name ?? id;

function newOrder(id) {
  const shown = {
    items: make("h3", { tabindex: "-1" }),
    status: make("span", {}),
    when: make("p", { class: "soft" }),
    more: make("p", { class: "soft" }),
    cancel: make("button", { type: "button", onclick: () => cancel(id) }, "Cancel"),
  };
  shown.row = make(
    "li", { "data-order": id },
    make("div", { class: "top" }, shown.items, shown.status),
    make("div", { class: "top" }, make("div", {}, shown.when, make("code", { class: "soft" }, id)), shown.cancel),
    shown.more,
  );
  return shown;
}

async function cancel(id) {
  const shown = orders.get(id);
  if (shown.cancel.getAttribute("aria-disabled") === "true") return;
  shown.cancel.setAttribute("aria-disabled", "true");
  const what = shown.items.textContent;
  await untilFinal(`cancelling ${what}`, () => send("POST", `orders/${id}/cancel`), (result) => {
    if (result.status === 200) return announce(`Cancelled: ${what}.`);
    if (result.status === 202) return announce(`Cancelling: ${what}. ${MEANING.cancelling}`, "warn");
    return announce(`Not cancelled: ${what}. ${reason(result)}`, "bad");
  });
  shown.cancel.removeAttribute("aria-disabled");
  await refresh();
}

// ---- The page ---------------------------------------------------------------------------------

/** Read or write a value of localStorage; null if the browser forbids it. */
function remembered(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

const refresh = () => Promise.all([refreshProducts(), listOrders()]);

let followTimer = null;
let refreshing = false;

async function follow() {
  clearTimeout(followTimer);
  if (refreshing || document.hidden || !at("follow").checked) return;
  refreshing = true;
  await refresh();
  refreshing = false;
  followTimer = setTimeout(follow, REFRESH_MS);
}

at("customer").value = remembered("customer") ?? "C123";
at("customer-form").addEventListener("submit", (event) => {
  event.preventDefault();
  remembered("customer", customer());
  listOrders();
});
at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  at("token").value = "";
  whose = null;
  listOrders();
});
at("refresh").addEventListener("click", refresh);
at("follow").addEventListener("change", follow);
document.addEventListener("visibilitychange", follow);
at("more-products").addEventListener("click", async () => {
  productPages += 1;
  const before = at("product-list").children.length;
  await refreshProducts();
  at("product-list").children[before]?.querySelector("input").focus();
});
at("more-orders").addEventListener("click", async () => {
  orderPages += 1;
  const before = at("order-list").children.length;
  await listOrders();
  at("order-list").children[before]?.querySelector("h3").focus();
});
recordOpening();
refresh();
