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
const MAX_SENDS = 20;
/** Statuses after which a request is repeated; 0 means that there was no response. */
const RETRYABLE = new Set([0, 502, 503, 504]);
/** Statuses that tell what became of the order, even if an earlier attempt had no response. */
const DECISIVE = new Set([200, 201, 202, 409, 422]);
/** The order may have been placed. A 500 can have this type, too. */
const OUTCOME_UNKNOWN = "urn:problem-type:order-outcome-unknown";
const HOLD_SECONDS = 900;
/** Every status of an order, in words. The list requests all of them: without a filter it omits rejected orders. */
const STATUSES = {
  pending: "pending",
  awaiting_payment: "awaiting payment",
  confirmed: "confirmed",
  changing: "changing",
  partially_fulfilled: "partly shipped",
  cancelling: "cancelling",
  cancelled: "cancelled",
  rejected: "rejected",
  fulfilling: "shipping",
  fulfilled: "shipped",
};
const PRICE_CHANGED = "urn:problem-type:price-changed";
const CANCELLABLE = new Set([
  "pending", "awaiting_payment", "confirmed", "changing", "partially_fulfilled", "cancelling",
]);
/** If a repeated request finds an order of these statuses, the customer has no order. */
const CANCELLED_BEFORE = new Set(["cancelling", "cancelled"]);
const MEANING = {
  pending: "Inventory was unavailable. The shop confirms or rejects the order at its next check after inventory is back.",
  changing: "The shop completes the change at its next check after inventory is back.",
  cancelling: "The shop completes the cancellation at its next check after inventory is back.",
  fulfilling: "The shop records the shipping at its next check after inventory is back.",
};
const EVENTS = {
  placed: "Placed",
  awaiting_payment: "Stock held for the payment",
  confirmed: "Confirmed",
  rejected: "Rejected",
  cancelled: "Cancelled",
  fulfilled: "Shipped",
  line_cancelled: "Cancelled in part",
  line_fulfilled: "Shipped in part",
  line_returned: "Returned",
};

const byId = (id) => document.getElementById(id);

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

/** An amount, rounded to the decimals of the currency: binary fractions leave a remainder. */
function rounded(amount, currency) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return Number(amount.toFixed(format.resolvedOptions().maximumFractionDigits));
}

/** Date and time. The title also shows the time zone. */
function timeOf(text) {
  const date = new Date(text);
  const shown = date.toLocaleString("en", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
  return make("time", { datetime: text, title: date.toString() }, shown);
}

/** "14 min 59 s", or "2 h 5 min" from an hour on. */
function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const formatted = (number) => number.toLocaleString("en");
const plural = (noun, number) => (number === 1 ? noun : `${noun}s`);

/** 128 random bits. crypto.randomUUID does not exist over plain HTTP. */
function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function announce(text, kind = "good") {
  byId("news").replaceChildren(make("p", { class: kind }, text));
  byId("dismiss").hidden = false;
  clearTimeout(announce.timer);
  if (kind === "good") announce.timer = setTimeout(dismiss, 6000);
}

function dismiss() {
  byId("news").replaceChildren();
  byId("dismiss").hidden = true;
}

/** The line above a list. After a failure it has a button that repeats the request. */
function showState(list, text, failed = false) {
  setText(byId(`${list}-state`), text);
  byId(`${list}-state`).classList.toggle("bad", failed);
  const retry = byId(`${list}-retry`);
  if (!failed && document.activeElement === retry) byId(list).focus();
  retry.hidden = !failed;
}

/** Remove the placeholders. The list has its real entries, or none. */
function removeSkeletons(list) {
  for (const each of list.querySelectorAll(".skeleton")) each.remove();
}

// ---- The customer -----------------------------------------------------------------------------

/** Sent with every request, and stored only in this variable. */
let token = null;

/** The shop requires a token. The token identifies the customer, so hide the customer's field. */
function requireToken() {
  byId("token-form").hidden = false;
  byId("customer-form").hidden = true;
}

/** Whether the shop requires a token that the customer has not entered; then ask for it. */
function tokenIsMissing() {
  const missing = !token && !byId("token-form").hidden;
  if (missing) {
    announce("Enter your token first.", "warn");
    byId("token").focus();
  }
  return missing;
}

/** The customer in a request; empty if the token names the customer. */
const customerField = () => (token ? {} : { customer_id: customer() });

// ---- Requests ---------------------------------------------------------------------------------

/** Milliseconds by which the server's clock is ahead of the browser's. */
let clockAhead = 0;

const WAITING = "Waiting for a response. If no pod is running, one starts first (cold start).";
const isWaiting = () => byId("news").textContent === WAITING;
let slowRequests = 0;

/** Count a slow request. Say that the page waits, unless that would replace other news. */
function noteSlow() {
  slowRequests += 1;
  if (byId("dismiss").hidden) announce(WAITING, "warn");
}

/** Send a request, and return its status and body; status 0 if there was no response. */
async function send(method, path, { body, headers } = {}) {
  let slow = setTimeout(() => {
    slow = null;
    noteSlow();
  }, SLOW_MS);
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
    clockAhead = Date.parse(received.get("Date")) - Date.now() || 0;
    result = { status: response.status, body: null, retryAfter: Number(received.get("Retry-After")) };
    if (/[/+]json/.test(received.get("Content-Type") ?? "")) result.body = await response.json();
  } catch {
    result.status = 0; // no connection, or a broken one: the order may have been placed
  }
  if (slow === null) slowRequests -= 1;
  clearTimeout(slow);
  if (result.status === 401) requireToken();
  if (isWaiting() && slowRequests === 0) dismiss();
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
  return body ? explain(body) : `The status is ${status}, without a reason.`;
}

/** A problem or a rejection in sentences that name the products. */
function explain(problem) {
  const lines = [...reasonsByProduct(problem)].map(([id, text]) => `${productName(id)}: ${text}.`);
  if (lines.length) return lines.join(" ");
  if (problem.type === PRICE_CHANGED) {
    return `The prices have changed: the order costs ${money(problem.total_price, problem.currency)} now. To accept that, place it again.`;
  }
  return problem.detail ?? "There is no reason.";
}

/** What is wrong with each product, by its id: the members of the problem types that name products. */
function reasonsByProduct({ lines = [], product_ids = [], limits = [] }) {
  return new Map([
    ...lines.map(({ product_id, requested, available_quantity }) =>
      [product_id, `${formatted(available_quantity)} in stock, you asked for ${formatted(requested)}`]),
    ...limits.map(({ product_id, requested, max_per_order }) =>
      [product_id, `at most ${formatted(max_per_order)} in one order, you asked for ${formatted(requested)}`]),
    ...product_ids.map((id) => [id, "not on sale"]),
  ]);
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
  /** A cell of the column; a phone shows the column's name before the value. */
  const cell = (column, value, kind) =>
    make("td", { role: "cell", "data-name": column, class: kind ?? null }, ...(value ? [value] : []));
  byId("request-list").prepend(
    make(
      "tr",
      { role: "row" },
      make("th", { role: "rowheader" }, make("code", {}, request)),
      cell("Status", status === 0 ? "none" : String(status)),
      cell("Start", start && make("span", { class: `status ${start}` }, start)),
      cell("Client ms", clientMs.toFixed(0), "number"),
      cell("Server ms", serverMs?.toFixed(1), "number"),
      cell("Breakdown", breakdown.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(", ")),
      cell("Pod", pod && make("code", {}, pod)),
    ),
  );
  while (byId("request-list").rows.length > MAX_ROWS) byId("request-list").lastElementChild.remove();
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
    byId("pods").append(element);
    pods.set(pod, { responses: 0, cold: false, element });
  }
  const seen = pods.get(pod);
  seen.responses += 1;
  seen.cold ||= cold;
  const of = revision ? `, revision ${revision}` : "";
  const start = seen.cold ? ", with its cold start" : "";
  setText(seen.element.lastElementChild, ` ${seen.responses} ${plural("response", seen.responses)}${of}${start}`);
  setText(byId("pods-state"), `Responses from ${pods.size} ${plural("pod", pods.size)}.`);
}

// ---- Products ---------------------------------------------------------------------------------

const products = new Map();
let productPages = 1;
let loadedAt = null;

/** The newest request for each list. An older one may get its response later: it must not replace newer rows. */
const newest = { products: 0, orders: 0 };

async function refreshProducts() {
  const turn = (newest.products += 1);
  const listed = new Set();
  let cursor = null;
  for (let page = 0; page < productPages; page += 1) {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const result = await send("GET", `products?limit=${PAGE_SIZE}${from}`);
    if (turn !== newest.products) return;
    if (result.status !== 200) {
      const old = products.size ? ` The list is from ${loadedAt}.` : "";
      showState("products", `The products cannot be loaded. ${reason(result)}${old}`, true);
      showSections();
      return;
    }
    removeSkeletons(byId("product-list"));
    result.body.products.forEach(showProduct);
    for (const { product_id: id } of result.body.products) listed.add(id);
    cursor = result.body.next_cursor;
    if (cursor === null) break;
  }
  byId("more-products").hidden = cursor === null;
  if (cursor === null) products.forEach(({ product }, id) => {
    if (!listed.has(id)) showProduct({ ...product, active: false }); // the list omits retired products
  });
  loadedAt = new Date().toLocaleTimeString("en", { hourCycle: "h23" });
  const more = cursor === null ? "" : ", and more";
  const counted = `${formatted(products.size)} ${plural("product", products.size)}${more}`;
  showState("products", products.size ? counted : "There are no products yet.");
  showCart();
  showSections();
}

/** Show the sections below the products. Until now the number of cards could change, and move them. */
function showSections() {
  removeSkeletons(byId("product-list"));
  byId("main").removeAttribute("aria-busy");
}

function showProduct(product) {
  const { product_id: id, available_quantity: available, reserved_quantity: reserved } = product;
  if (!products.has(id)) products.set(id, newProduct(id));
  const shown = products.get(id);
  shown.product = product;
  setText(shown.name, product.name);
  setText(shown.price, money(product.price, product.currency));
  setText(shown.left, formatted(available));
  const limit = product.max_per_order ? `, at most ${formatted(product.max_per_order)} in one order` : "";
  setText(shown.rest, ` available, ${formatted(reserved)} reserved${limit}`);
  shown.meter.max = Math.max(1, available + reserved);
  shown.meter.value = available;
  shown.meter.setAttribute("aria-label", `${available} of ${available + reserved} available`);
  shown.stock.classList.toggle("out", available === 0);
  const text = !product.active ? "Not on sale" : available === 0 ? "Out of stock" : "Add to cart";
  setText(shown.button, text);
  shown.button.setAttribute("aria-disabled", String(text !== "Add to cart"));
}

function newProduct(id) {
  const shown = {
    product: null,
    name: make("h3", { id: `name-${id}` }),
    price: make("span", { class: "price" }),
    left: make("strong", {}),
    rest: make("span", {}),
    meter: make("meter", { min: "0" }),
    quantity: make("input", {
      type: "number", min: "1", max: "1000000", step: "1", value: "1", required: "",
      "aria-label": `Quantity of ${id}`, "aria-describedby": `name-${id}`,
    }),
    button: make("button", { class: "first", "aria-describedby": `name-${id}` }, "Add to cart"),
  };
  shown.stock = make("p", { class: "stock" }, shown.left, shown.rest);
  const form = make("form", {
    onsubmit: (event) => {
      event.preventDefault();
      if (shown.button.getAttribute("aria-disabled") !== "true") add(id, shown.quantity.valueAsNumber);
    },
  }, shown.quantity, shown.button);
  const top = make("div", { class: "top" }, shown.name, shown.price);
  byId("product-list").append(
    make("li", { "data-product": id }, top, shown.stock, shown.meter, make("code", { class: "soft" }, id), form),
  );
  return shown;
}

// ---- The cart ---------------------------------------------------------------------------------

/** The lines by product, in the order in which they were added. */
const cart = new Map();
const MAX_QUANTITY = 1000000;
/** While the cart is visible, the link to it is hidden. */
let cartIsVisible = false;

function add(id, quantity) {
  if (!cart.has(id)) cart.set(id, newCartLine(id));
  const input = cart.get(id).quantity;
  input.value = Math.min((input.valueAsNumber || 0) + quantity, MAX_QUANTITY);
  showReasons(new Map());
  showCart();
  announce(`Added: ${formatted(quantity)} × ${productName(id)}.`);
}

function remove(id) {
  const { row } = cart.get(id);
  const next = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector("input") ?? byId("cart");
  cart.delete(id);
  row.remove();
  showCart();
  next.focus();
}

function newCartLine(id) {
  const line = {
    name: make("h3", { id: `cart-name-${id}` }),
    total: make("span", { class: "price" }),
    reason: make("p", { class: "bad", id: `cart-reason-${id}` }),
    quantity: make("input", {
      type: "number", min: "1", max: MAX_QUANTITY, step: "1", required: "",
      "aria-label": `Quantity of ${id} in the cart`, "aria-describedby": `cart-name-${id} cart-reason-${id}`,
      oninput: showCart,
    }),
    remove: make("button", { type: "button", onclick: () => remove(id) }, "Remove"),
  };
  line.row = make("li", { "data-line": id },
    make("div", { class: "top" }, line.name, line.total),
    make("div", { class: "actions" }, line.quantity, line.remove),
    line.reason);
  byId("cart-lines").append(line.row);
  return line;
}

function showCart() {
  for (const [id, { name, total, quantity, remove }] of cart) {
    const { price, currency } = products.get(id).product;
    setText(name, productName(id));
    remove.setAttribute("aria-label", `Remove ${productName(id)}`);
    setText(total, money(price * (quantity.valueAsNumber || 0), currency));
  }
  const { units, amount } = cartTotal();
  setText(byId("cart-total"), amount);
  setText(byId("to-cart"), `Cart: ${formatted(units)} ${plural("unit", units)}, ${amount}`);
  byId("to-cart").hidden = cart.size === 0 || cartIsVisible;
  byId("cart-form").hidden = cart.size === 0;
  byId("cart-empty").hidden = cart.size > 0;
  if (cart.size > 0) {
    byId("receipt").replaceChildren();
    byId("cart-empty").style.minHeight = "";
  }
}

/** The units, and the sum as a number and as text. All products of a shop have one currency. */
function cartTotal() {
  let [units, sum, currency] = [0, 0, null];
  for (const [id, { quantity }] of cart) {
    const { product } = products.get(id);
    units += quantity.valueAsNumber || 0;
    sum += product.price * (quantity.valueAsNumber || 0);
    currency = product.currency;
  }
  if (currency === null) return { units, sum, amount: "" };
  return { units, sum: rounded(sum, currency), amount: money(sum, currency) };
}

/** Show in each line of the cart why it was rejected. */
function showReasons(reasons) {
  for (const [id, line] of cart) {
    const text = reasons.get(id);
    setText(line.reason, text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "");
    line.quantity.setAttribute("aria-invalid", String(Boolean(text)));
  }
}

// ---- Placing ----------------------------------------------------------------------------------

let placing = false;
/** The last order, if its outcome is unknown: to place the same again, the page sends the same key. */
let undecided = null;

async function placeOrder() {
  if (placing || tokenIsMissing()) return;
  const items = [...cart].map(([id, { quantity }]) => ({ product_id: id, quantity: quantity.valueAsNumber }));
  const hold = byId("hold").checked ? { hold_seconds: HOLD_SECONDS } : {};
  const content = JSON.stringify({ customer: token ?? customer(), items, ...hold });
  const repeated = undecided?.content === content;
  // A repeat has the first total: with another one it would be another order.
  if (!repeated) undecided = { content, key: freshKey(), total: cartTotal().sum };
  const body = { ...customerField(), items, ...hold, expected_total: undecided.total };
  const headers = { "Idempotency-Key": undecided.key };
  if (byId("keep").checked) headers.Prefer = "respond-async";
  const what = items.map(({ product_id: id, quantity }) => `${formatted(quantity)} × ${productName(id)}`).join(", ");
  showReasons(new Map());
  showPlacing(true);
  const sendOrder = () => send("POST", "orders", { body, headers });
  try {
    await untilFinal(what, sendOrder, (result) => showOutcome(result, what, items), repeated);
  } finally {
    showPlacing(false);
  }
  await refresh();
}

function showPlacing(now) {
  placing = now;
  setText(byId("place"), now ? "Placing the order…" : "Place order");
  byId("place").setAttribute("aria-disabled", String(now));
}

function showOutcome(result, what, items) {
  undecided = null;
  if (CANCELLED_BEFORE.has(result.body?.status)) {
    const status = STATUSES[result.body.status];
    return announce(`Not ordered: ${what}. You ordered this before, and that order is ${status}. Place it again for a new order.`, "warn");
  }
  if (result.status === 201 || result.status === 202) {
    const text = outcome(result, what);
    takeOut(items);
    if (cart.size === 0) showReceipt(text, result.body);
    return announce(text, result.status === 202 ? "warn" : "good");
  }
  if (result.status === 409) showReasons(reasonsByProduct(result.body));
  return announce(`Not ordered: ${what}. ${reason(result)}`, "bad");
}

function outcome({ status, body }, what) {
  if (status === 202) return `Pending: ${what}. ${MEANING.pending}`;
  if (body.status !== "awaiting_payment") return `Ordered: ${what}.`;
  return `Held: ${what}. Pay within ${duration(secondsLeft(body))}.`;
}

/** Take ordered units out of the cart. The customer may have added others since.
 *
 * An empty cart keeps its height, so that the orders below do not move.
 */
function takeOut(items) {
  const height = byId("cart-form").offsetHeight;
  const focused = byId("cart-form").contains(document.activeElement);
  for (const { product_id: id, quantity } of items) {
    const line = cart.get(id);
    if (!line) continue;
    line.quantity.value = line.quantity.valueAsNumber - quantity;
    if (line.quantity.valueAsNumber > 0) continue;
    cart.delete(id);
    line.row.remove();
  }
  showCart();
  if (cart.size > 0) return;
  byId("cart-empty").style.minHeight = `${height}px`;
  if (focused) byId("cart").focus();
}

/** Show the placed order in place of the cart. A pending order has no prices yet. */
function showReceipt(text, { items, total_price: total, currency }) {
  const row = (name, amount) => make("div", { class: "top" }, make("span", {}, name),
    make("span", { class: "price" }, amount === undefined ? "" : money(amount, currency)));
  const lines = items.map((item) =>
    row(`${formatted(item.quantity)} × ${nameOf(item)}`, item.unit_price && rounded(item.unit_price * item.quantity, currency)));
  byId("receipt").replaceChildren(make("p", {}, text), ...lines, ...(total === undefined ? [] : [row("Total", total)]));
}

/** Send a request, and repeat it after its Retry-After until its outcome is known or the customer stops it.
 *
 * If one send had no outcome, it may have taken effect. A later one that fails by itself, such as with 401,
 * does not disprove that: only a decisive status ends the loop. `mayHaveTakenEffect`: an earlier call has sent
 * this key without an outcome.
 */
async function untilFinal(what, sendOnce, then, mayHaveTakenEffect = false) {
  dismiss();
  for (let sends = 1; ; sends += 1) {
    const result = await sendOnce();
    const again = RETRYABLE.has(result.status) || outcomeUnknown(result) || lacksBody(result);
    const isFirst = sends === 1 && !mayHaveTakenEffect;
    if (!again && (isFirst || DECISIVE.has(result.status))) return then(result);
    const why = again ? "" : ` ${reason(result)}`;
    if (!again || sends === MAX_SENDS || !(await waitToRetry(what, result))) {
      return announce(`Stopped: ${what}. Its outcome is unknown.${why} Check the orders below.`, "bad");
    }
  }
}

const outcomeUnknown = ({ body }) => body?.type === OUTCOME_UNKNOWN;
/** A gateway responded instead of the shop. */
const lacksBody = ({ status, body }) => (DECISIVE.has(status) || status === 500) && !body;

/** Show a countdown to the next attempt; false if the customer stops. */
function waitToRetry(what, result) {
  const cause = result.status === 0 ? "No response" : `No outcome yet (${result.status})`;
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
    byId("waiting").append(row);
  });
}

// ---- Orders -----------------------------------------------------------------------------------

const customer = () => byId("customer").value.trim();
const orders = new Map();
let orderPages = 1;
let whose = null;

async function listOrders() {
  const turn = (newest.orders += 1);
  const requested = token ? "your token" : customer();
  if (requested !== whose) {
    orders.clear();
    for (const row of byId("order-list").querySelectorAll("[data-order]")) row.remove();
    [whose, orderPages] = [requested, 1];
    setText(byId("orders"), token ? "Your orders" : `Orders of ${requested}`);
  }
  const filter = new URLSearchParams({ ...customerField(), status: Object.keys(STATUSES).join(",") });
  const found = [];
  let cursor = null;
  for (let page = 0; page < orderPages; page += 1) {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const result = await send("GET", `orders?${filter}&limit=${PAGE_SIZE}${from}`);
    if (turn !== newest.orders) return;
    if (result.status !== 200) {
      removeSkeletons(byId("order-list"));
      const unknown = result.status === 401 && !token;
      if (unknown) showState("orders", "Enter your token to place orders and to see them.");
      else showState("orders", `The orders cannot be loaded. ${reason(result)}`, true);
      return;
    }
    found.push(...result.body.orders);
    cursor = result.body.next_cursor;
    if (cursor === null) break;
  }
  byId("more-orders").hidden = cursor === null;
  removeSkeletons(byId("order-list"));
  if (!token) setText(byId("customer-use"), "No login: you can order as any customer. Not for production.");
  const counted = `${formatted(found.length)} ${plural("order", found.length)}${cursor === null ? "" : ", and more"}, newest first`;
  showState("orders", found.length ? counted : "No orders yet.");
  found.forEach(showOrder);
  const listed = new Set(found.map((order) => order.order_id));
  orders.forEach(({ row }, id) => {
    if (listed.has(id)) return;
    row.remove(); // newer orders have moved it to the next page
    orders.delete(id);
  });
  // Newest first. Rows in the right place are not moved, so that none loses the focus.
  found.reduceRight((next, { order_id: id }) => {
    const row = orders.get(id).row;
    if (!row.isConnected || row.nextElementSibling !== next) byId("order-list").insertBefore(row, next);
    return row;
  }, null);
}

function showOrder(found) {
  const id = found.order_id;
  if (!orders.has(id)) orders.set(id, newOrder(id));
  const shown = orders.get(id);
  shown.order = found;
  setText(shown.status, STATUSES[found.status] ?? found.status);
  shown.status.className = `status ${found.status}`;
  const items = found.items.map((item) => `${formatted(item.quantity)} × ${nameOf(item)}`).join(", ");
  setText(shown.items, items);
  shown.when.replaceChildren(timeOf(found.created_at));
  if (found.total_price !== undefined) shown.when.append(` · ${money(found.total_price, found.currency)}`);
  setText(shown.parts, partsOf(found.items));
  setText(shown.more, found.rejection ? explain(found.rejection) : MEANING[found.status] ?? "");
  showTimeLeft(shown);
  const history = found.history.map((event) => make("li", {},
    `${EVENTS[event.type] ?? event.type} · `, timeOf(event.at), ` · ${eventDetails(event)}`));
  const text = (entries) => entries.map((each) => each.textContent).join();
  if (text([...shown.history.children]) !== text(history)) shown.history.replaceChildren(...history);
  const focused = document.activeElement === shown.cancel;
  shown.cancel.hidden = !CANCELLABLE.has(found.status);
  shown.cancel.setAttribute("aria-label", `Cancel the order of ${items}, ${id}`);
  if (focused && shown.cancel.hidden) shown.items.focus();
}

/** What became of the units, unless the status says it: "Laptop: 1 cancelled, 1 shipped". */
function partsOf(items) {
  const parts = items.map((item) => {
    const counts = [["cancelled", item.cancelled], ["shipped", item.fulfilled], ["returned", item.returned]];
    const some = counts.filter(([, count]) => count > 0);
    const whole = some.length === 1 && some[0][1] === item.quantity && !item.returned && items.length === 1;
    if (!some.length || whole) return null;
    return `${nameOf(item)}: ${some.map(([name, count]) => `${formatted(count)} ${name}`).join(", ")}`;
  });
  return parts.filter((part) => part !== null).join(". ");
}

function eventDetails({ actor, reason, items = [] }) {
  const units = items.map((item) => `${formatted(item.quantity)} × ${productName(item.product_id)}`);
  return [...units, `by ${actor}`, ...(reason ? [reason] : [])].join(", ");
}

const secondsLeft = ({ expires_at }) => Math.floor((Date.parse(expires_at) - Date.now() - clockAhead) / 1000);

/** An order that waits for its payment: the time left, and how to pay. */
function showTimeLeft({ order, left, pay }) {
  pay.hidden = order.status !== "awaiting_payment";
  if (pay.hidden) return;
  const seconds = secondsLeft(order);
  setText(left, seconds > 0
    ? `The stock is held for ${duration(seconds)} more.`
    : "The hold has ended. The shop cancels the order at its next check.");
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
    order: null,
    when: make("p", { class: "soft" }),
    parts: make("p", { class: "soft" }),
    more: make("p", { class: "soft" }),
    left: make("p", {}),
    history: make("ol", {}),
    cancel: make("button", { type: "button", onclick: () => cancel(id) }, "Cancel"),
  };
  const url = new URL(`orders/${id}/confirm`, document.baseURI);
  shown.pay = make(
    "div", { class: "pay" }, shown.left,
    make("details", {},
      make("summary", { "aria-label": `How to pay order ${id}` }, "How to pay"),
      make("p", {}, "A payment service confirms the order. This page has no token for that: run this command with the token of a payment service or of an operator."),
      make("pre", {}, make("code", {}, `curl -X POST ${url} -H "Authorization: Bearer $TOKEN"`)),
    ),
  );
  shown.row = make(
    "li", { "data-order": id },
    make("div", { class: "top" }, shown.items, shown.status),
    make("div", { class: "top" }, make("div", {}, shown.when, make("code", { class: "soft" }, id)), shown.cancel),
    shown.more,
    shown.parts,
    shown.pay,
    make("details", {}, make("summary", { "aria-label": `History of order ${id}` }, "History"), shown.history),
  );
  return shown;
}

/** The units that were cancelled since. Units that are shipped are not cancelled with the rest. */
function cancelledSince(before, items) {
  const units = items.map((item, n) => [item.cancelled - before[n].cancelled, nameOf(item)]);
  return units.filter(([count]) => count > 0).map(([count, name]) => `${formatted(count)} × ${name}`).join(", ") ||
    "nothing was left to cancel";
}

async function cancel(id) {
  const shown = orders.get(id);
  if (shown.cancel.getAttribute("aria-disabled") === "true") return;
  shown.cancel.setAttribute("aria-disabled", "true");
  const what = shown.items.textContent;
  const before = shown.order.items;
  const showResult = (result) => {
    if (result.status === 200) return announce(`Cancelled: ${cancelledSince(before, result.body.items)}.`);
    if (result.status === 202) return announce(`Cancelling: ${what}. ${MEANING.cancelling}`, "warn");
    return announce(`Not cancelled: ${what}. ${reason(result)}`, "bad");
  };
  try {
    await untilFinal(`cancelling ${what}`, () => send("POST", `orders/${id}/cancel`), showResult);
  } finally {
    shown.cancel.removeAttribute("aria-disabled");
  }
  await refresh();
}

// ---- The page ---------------------------------------------------------------------------------

/** Store a value for the next visit, if the browser allows it. */
function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {} // the page works without it
}

/** A stored value; null if there is none, or the browser forbids it. */
function stored(name) {
  try {
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
  if (refreshing || document.hidden || !byId("follow").checked) return;
  refreshing = true;
  await refresh();
  refreshing = false;
  followTimer = setTimeout(follow, REFRESH_MS);
}

byId("customer").value = stored("customer") ?? "C123";
byId("customer-form").addEventListener("submit", (event) => {
  event.preventDefault();
  store("customer", customer());
  listOrders();
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  whose = null;
  listOrders();
});
byId("cart-form").addEventListener("submit", (event) => {
  event.preventDefault();
  placeOrder();
});
new IntersectionObserver((changes) => {
  cartIsVisible = changes.at(-1).isIntersecting;
  showCart();
}).observe(byId("cart-form"));
byId("dismiss").addEventListener("click", dismiss);
byId("refresh").addEventListener("click", refresh);
byId("products-retry").addEventListener("click", refreshProducts);
byId("orders-retry").addEventListener("click", listOrders);
setInterval(() => orders.forEach(showTimeLeft), 1000);
byId("follow").addEventListener("change", follow);
document.addEventListener("visibilitychange", follow);
byId("more-products").addEventListener("click", async () => {
  productPages += 1;
  const before = byId("product-list").children.length;
  await refreshProducts();
  byId("product-list").children[before]?.querySelector("input").focus();
});
byId("more-orders").addEventListener("click", async () => {
  orderPages += 1;
  const before = byId("order-list").children.length;
  await listOrders();
  byId("order-list").children[before]?.querySelector("h3").focus();
});
recordOpening();
refresh().then(() => {
  byId("request-section").hidden = false;
});
