"use strict";

/* The shop's page: a customer of order's own API, and no more than that.
 *
 * What an answer means is said in words, the uncertain ones too. An order that got no answer is sent
 * again under the same Idempotency-Key, so however often that happens, it is one order.
 */

const PAGE_SIZE = 24;
const LOOK_EVERY = 2000;
const SLOW_AFTER = 1000;
const MOST_ANSWERS = 20;
const MOST_TRIES = 20;
const UNDECIDED = new Set([0, 502, 503, 504]);
/** Of a 500, too: the order may have been placed. The page always has a key, so it repeats. */
const OUTCOME_UNKNOWN = "urn:problem-type:order-outcome-unknown";
const CANCELLABLE = new Set(["confirmed", "pending", "cancelling"]);
const MEANING = {
  pending: "Stock could not be reached. It is decided as soon as it can.",
  cancelling: "Its stock is still to be given back.",
  fulfilling: "On its way out.",
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

/** A text that changes only where it differs, so that nothing is read out or selected anew. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function money(amount, currency) {
  return new Intl.NumberFormat("en", { style: "currency", currency }).format(amount);
}

/** The sum in as many decimals as the currency has: no remainder of binary fractions. */
function total(price, quantity, currency) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return Number((price * quantity).toFixed(format.resolvedOptions().maximumFractionDigits));
}

const counted = (number) => number.toLocaleString("en");
const plural = (noun, number) => (number === 1 ? noun : `${noun}s`);

/** 128 random bits. Not crypto.randomUUID, which plain http does not have. */
function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function news(text, kind = "good") {
  at("news").replaceChildren(make("p", { class: kind }, text));
  clearTimeout(news.timer);
  if (kind === "good") news.timer = setTimeout(() => at("news").replaceChildren(), 6000);
}

// ---- Who it is --------------------------------------------------------------------------------

/** Shown with every request; kept nowhere but here. */
let token = null;

/** This shop asks for one: from now on it says who the customer is, and the page no longer does. */
function askForToken() {
  at("token-form").hidden = false;
  at("customer-form").hidden = true;
}

/** What the API is told of the customer: nothing, where the token tells. */
const named = () => (token ? {} : { customer_id: customer() });

// ---- Asking -----------------------------------------------------------------------------------

/** What was answered; status 0 where nobody did. */
async function ask(method, path, { body, headers } = {}) {
  const slow = setTimeout(
    () => news("Still waiting: where nobody was awake, a pod has to start first.", "warn"),
    SLOW_AFTER,
  );
  const began = performance.now();
  let answer = { status: 0, body: null, retryAfter: null };
  let told = null;
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
    told = response.headers;
    answer = { status: response.status, body: null, retryAfter: Number(told.get("Retry-After")) };
    if (/[/+]json/.test(told.get("Content-Type") ?? "")) answer.body = await response.json();
  } catch {
    answer.status = 0; // no connection, or one that broke: an order may have been placed all the same
  }
  clearTimeout(slow);
  if (answer.status === 401) askForToken();
  if (at("news").textContent.startsWith("Still waiting")) at("news").replaceChildren();
  record(`${method} ${path.split("?")[0]}`, answer.status, {
    here: performance.now() - began,
    parts: timings(told?.get("Server-Timing")),
    pod: told?.get("X-Pod") ?? null,
    revision: told?.get("X-Revision") ?? null,
  });
  return answer;
}

function reason({ status, body }) {
  if (status === 0) return "No answer: the connection failed.";
  return body?.detail ?? `Answered ${status}, without a reason.`;
}

// ---- Who answered -----------------------------------------------------------------------------

const pods = new Map();

/** Server-Timing's metrics by name, in milliseconds; undefined of one that is only a mark. */
function timings(header) {
  const metrics = (header ?? "").split(",").filter((each) => each.trim());
  return new Map(metrics.map((each) => {
    const spent = each.match(/;\s*dur=([\d.]+)/)?.[1];
    return [each.split(";")[0].trim(), spent === undefined ? undefined : Number(spent)];
  }));
}

function record(request, status, { here, parts, pod, revision }) {
  const start = parts.size === 0 ? "" : parts.has("cold") ? "cold" : "warm";
  const there = parts.get("total");
  const within = [...parts].filter(([name, spent]) => name !== "total" && spent !== undefined);
  const cell = (text, kind) => make("td", { class: kind ?? null }, text);
  at("answer-list").prepend(
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("code", {}, request)),
      cell(status === 0 ? "none" : String(status)),
      make("td", {}, start ? make("span", { class: `status ${start}` }, start) : ""),
      cell(here.toFixed(0), "number"),
      cell(there === undefined ? "" : there.toFixed(1), "number"),
      cell(within.map(([name, spent]) => `${name} ${spent.toFixed(1)}`).join(", ")),
      make("td", {}, make("code", {}, pod ?? "")),
    ),
  );
  while (at("answer-list").rows.length > MOST_ANSWERS) at("answer-list").lastElementChild.remove();
  if (pod !== null) count(pod, revision, start === "cold");
}

/** The page's own request, where the browser tells of it: over https, or on localhost. */
function recordOpening() {
  const [opening] = performance.getEntriesByType("navigation");
  const told = opening?.serverTiming ?? [];
  if (told.length === 0) return;
  record("GET this page", opening.responseStatus, {
    here: opening.responseStart - opening.requestStart,
    parts: new Map(told.map(({ name, duration }) => [name, name === "cold" ? undefined : duration])),
    pod: null,
    revision: null,
  });
}

function count(pod, revision, cold) {
  if (!pods.has(pod)) {
    const element = make("li", {}, make("code", {}, pod), make("span", {}));
    at("pods").append(element);
    pods.set(pod, { answers: 0, cold: false, element });
  }
  const seen = pods.get(pod);
  seen.answers += 1;
  seen.cold ||= cold;
  const of = revision ? `, revision ${revision}` : "";
  const start = seen.cold ? ", we saw it start" : "";
  say(seen.element.lastElementChild, ` ${seen.answers} ${plural("answer", seen.answers)}${of}${start}`);
  say(at("pods-state"), `${pods.size} ${plural("pod", pods.size)} so far.`);
}

// ---- Products ---------------------------------------------------------------------------------

const products = new Map();
let productPages = 1;

async function look() {
  let cursor = null;
  for (let page = 0; page < productPages; page += 1) {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const answer = await ask("GET", `products?limit=${PAGE_SIZE}${from}`);
    if (answer.status !== 200) {
      at("products-state").className = "notice bad";
      const old = products.size ? " What is shown is from before." : "";
      say(at("products-state"), `The products cannot be had just now. ${reason(answer)}${old}`);
      return;
    }
    answer.body.products.forEach(showProduct);
    cursor = answer.body.next_cursor;
    if (cursor === null) break;
  }
  at("more-products").hidden = cursor === null;
  at("products-state").className = "notice";
  say(at("products-state"), products.size ? "" : "There are no products yet.");
}

function showProduct(product) {
  const { product_id: id, available_quantity: available, reserved_quantity: reserved } = product;
  if (!products.has(id)) products.set(id, newProduct(id));
  const shown = products.get(id);
  shown.product = product;
  say(shown.name, product.name);
  say(shown.price, money(product.price, product.currency));
  say(shown.left, counted(available));
  say(shown.rest, ` available, ${counted(reserved)} reserved`);
  shown.meter.max = Math.max(1, available + reserved);
  shown.meter.value = available;
  shown.meter.setAttribute("aria-label", `${available} of ${available + reserved} available`);
  shown.stock.classList.toggle("out", available === 0);
  if (!shown.busy) {
    say(shown.button, available === 0 ? "Out of stock" : "Order");
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
  const { product_id, price, currency, name } = shown.product;
  const quantity = shown.quantity.valueAsNumber;
  const body = {
    ...named(), product_id, quantity, expected_total: total(price, quantity, currency),
  };
  const headers = { "Idempotency-Key": freshKey() };
  if (at("keep").checked) headers.Prefer = "respond-async";
  shown.busy = true;
  say(shown.button, "Ordering…");
  shown.button.setAttribute("aria-disabled", "true");
  await decided(`${counted(quantity)} × ${name}`, () => ask("POST", "orders", { body, headers }), placed);
  shown.busy = false;
  showProduct(shown.product);
  await Promise.all([look(), listOrders()]);
}

function placed(answer, what) {
  if (answer.status === 201) return news(`Ordered: ${what}.`);
  if (answer.status === 202) return news(`Pending: ${what}. ${MEANING.pending}`, "warn");
  return news(`Not ordered: ${what}. ${reason(answer)}`, "bad");
}

/** Ask again and again, as told by Retry-After, until there is an answer or the customer gives up. */
async function decided(what, send, then) {
  for (let tries = 1; ; tries += 1) {
    const answer = await send();
    if (!UNDECIDED.has(answer.status) && !outcomeUnknown(answer)) return then(answer, what);
    if (tries === MOST_TRIES || !(await patience(what, answer))) {
      return news(`Given up: ${what}. Whether it was done is not known; look at the orders below.`, "bad");
    }
  }
}

const outcomeUnknown = ({ body }) => body?.type === OUTCOME_UNKNOWN;

/** Wait in sight of the customer; false where they give up. */
function patience(what, answer) {
  const said = answer.status === 0 ? "No answer" : `Not now (${answer.status})`;
  news(`${said}: ${what}. It is tried again, and is done once however often.`, "warn");
  return new Promise((resolve) => {
    let left = Math.max(1, answer.retryAfter || 0);
    const text = make("span", {});
    const why = outcomeUnknown(answer) ? "It is not known yet whether it was placed." : reason(answer);
    const tell = () => say(text, `${what}: ${why} Next try in ${left} s.`);
    const done = (goOn) => {
      clearInterval(timer);
      row.remove();
      resolve(goOn);
    };
    const timer = setInterval(() => {
      left -= 1;
      if (left <= 0) done(true);
      else tell();
    }, 1000);
    const row = make(
      "li", { class: "warn" }, text,
      make("div", { class: "actions" },
        make("button", { type: "button", onclick: () => done(true) }, "Now"),
        make("button", { type: "button", onclick: () => done(false) }, "Give up")),
    );
    tell();
    at("waiting").append(row);
  });
}

// ---- Orders -----------------------------------------------------------------------------------

const customer = () => at("customer").value.trim();
const orders = new Map();
let orderPages = 1;
let whose = null;

async function listOrders() {
  const asked = token ? "your token" : customer();
  if (asked !== whose) {
    orders.clear();
    at("order-list").replaceChildren();
    [whose, orderPages] = [asked, 1];
    say(at("whose"), asked);
  }
  const about = Object.entries(named()).map(([name, id]) => `${name}=${encodeURIComponent(id)}&`).join("");
  const found = [];
  let cursor = null;
  for (let page = 0; page < orderPages; page += 1) {
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
    const answer = await ask("GET", `orders?${about}limit=${PAGE_SIZE}${from}`);
    if (asked !== whose) return; // another customer was asked for meanwhile
    if (answer.status !== 200) {
      at("orders-state").className = "notice bad";
      say(at("orders-state"), `The orders cannot be had just now. ${reason(answer)}`);
      return;
    }
    found.push(...answer.body.orders);
    cursor = answer.body.next_cursor;
    if (cursor === null) break;
  }
  at("more-orders").hidden = cursor === null;
  at("orders-state").className = "notice";
  say(at("orders-state"), found.length ? "" : "No orders yet.");
  found.forEach(showOrder);
  // Newest first; those that stand right already are not moved, so that none loses the focus.
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
  say(shown.status, found.status);
  shown.status.className = `status ${found.status}`;
  const items = found.items.map((item) => `${counted(item.quantity)} × ${nameOf(item)}`).join(", ");
  say(shown.items, items);
  const time = new Date(found.created_at).toLocaleTimeString("en", { hourCycle: "h23" });
  const price = found.total_price === undefined ? "" : ` · ${money(found.total_price, found.currency)}`;
  say(shown.when, time + price);
  say(shown.more, found.rejection?.detail ?? MEANING[found.status] ?? "");
  const focused = document.activeElement === shown.cancel;
  shown.cancel.hidden = !CANCELLABLE.has(found.status);
  shown.cancel.setAttribute("aria-label", `Cancel the order of ${items}, ${id}`);
  if (focused && shown.cancel.hidden) shown.items.focus();
}

/** An item of an order that is not priced yet has no name of its own. */
function nameOf(item) {
  return item.name ?? products.get(item.product_id)?.product.name ?? item.product_id;
}

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
  await decided(`cancelling ${what}`, () => ask("POST", `orders/${id}/cancel`), (answer) => {
    if (answer.status === 200) return news(`Cancelled: ${what}.`);
    if (answer.status === 202) return news(`Cancelling: ${what}. ${MEANING.cancelling}`, "warn");
    return news(`Not cancelled: ${what}. ${reason(answer)}`, "bad");
  });
  shown.cancel.removeAttribute("aria-disabled");
  await Promise.all([look(), listOrders()]);
}

// ---- The page ---------------------------------------------------------------------------------

/** Remembered where the browser lets us. */
function remembered(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(name, value);
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

let following = null;
let looking = false;

async function follow() {
  clearTimeout(following);
  if (looking || document.hidden || !at("follow").checked) return;
  looking = true;
  await Promise.all([look(), listOrders()]);
  looking = false;
  following = setTimeout(follow, LOOK_EVERY);
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
at("look").addEventListener("click", () => Promise.all([look(), listOrders()]));
at("follow").addEventListener("change", follow);
document.addEventListener("visibilitychange", follow);
at("more-products").addEventListener("click", async () => {
  productPages += 1;
  const before = at("product-list").children.length;
  await look();
  at("product-list").children[before]?.querySelector("input").focus();
});
at("more-orders").addEventListener("click", async () => {
  orderPages += 1;
  const before = at("order-list").children.length;
  await listOrders();
  at("order-list").children[before]?.querySelector("h3").focus();
});
recordOpening();
look();
listOrders();
