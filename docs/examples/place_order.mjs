// Place an order once: node place_order.mjs http://localhost:8080 C123 P001 2
// With a fifth argument, hold the stock for so many seconds, and confirm the payment with the token
// in PAYMENT_TOKEN.

const TIMEOUT = 25_000; // for one request, above order's longest deadline of 19 s
const GIVE_UP = 900_000; // a pending order is decided within ten minutes of inventory's return

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The ends of the types of problems with status 500 that a repeat cannot solve. */
const FINAL_ERRORS = /(rejected-by-database|damaged-document)$/;

/** The shop has rejected the order; `problem` is the problem document or the rejection. */
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.status);
    this.problem = problem;
  }
}

/** There is no decision yet. Keep the payment, and repeat later with the same key. */
export class Undecided extends Refused {}

/**
 * Send until there is a decision. Repeating is safe: each repeat has the same key.
 * Throws TypeError if the request itself is wrong, such as its URL: no repeat can help.
 */
async function send(url, options, giveUpAt) {
  const { protocol } = new URL(new Request(url, options).url);
  if (!/^https?:$/.test(protocol)) throw new TypeError(`${url} must begin with http:// or https://`);
  for (let pause = 500; ; pause = Math.min(2 * pause, 10_000)) {
    let [cause, retryAfter] = ["no response", 0];
    try {
      const response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT) });
      // A gateway may send HTML instead of a problem document: then the status alone.
      const body = await response.json().catch((error) => {
        if (response.ok) throw error;
        return { status: response.status };
      });
      if (response.ok) return body;
      const repeat = response.status === 408 || /newer-revision$/.test(body.type);
      if (response.status < 500 && !repeat) throw new Refused(body);
      if (FINAL_ERRORS.test(body.type)) throw new Undecided(body);
      cause = `status ${response.status}`;
      retryAfter = 1000 * (Number(response.headers.get("Retry-After")) || 0);
    } catch (error) {
      if (error instanceof Refused) throw error; // else no usable response: the outcome is unknown
    }
    const wait = Math.max(pause * (0.5 + Math.random() / 2), retryAfter);
    if (Date.now() + wait > giveUpAt) throw new Undecided({ detail: `no decision in time: ${url}` });
    console.error(`No decision yet (${cause}). Next try in ${(wait / 1000).toFixed(1)} s.`);
    await sleep(wait);
  }
}

/**
 * The order. Store `key` with the basket before the first call. The order is `confirmed`, or
 * `awaiting_payment` if the body has `hold_seconds`, unless a repeat of an earlier request finds
 * that it has changed since.
 */
export async function placeOrder(shop, body, key) {
  const giveUpAt = Date.now() + GIVE_UP;
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key, Prefer: "respond-async" };
  const post = { method: "POST", headers, body: JSON.stringify(body) };
  let order = await send(`${shop}/orders`, post, giveUpAt);
  while (order.status === "pending" && Date.now() < giveUpAt) { // after a 202
    await sleep(5000);
    order = await send(`${shop}/orders/${order.order_id}`, {}, giveUpAt);
  }
  if (order.status === "pending") throw new Undecided(order);
  if (order.status === "rejected") throw new Refused(order.rejection);
  return order;
}

/**
 * Confirm that the order is paid, and return it. Refund the payment if `Refused` has a problem of the
 * type `order-expired` or `not-confirmable`.
 */
export function confirmPayment(shop, orderId, token) {
  const headers = { Authorization: `Bearer ${token}` };
  return send(`${shop}/orders/${orderId}/confirm`, { method: "POST", headers }, Date.now() + GIVE_UP);
}

if (import.meta.url === new URL(process.argv[1], "file:").href) {
  const [shop, customer_id, product_id, quantity, hold, ...others] = process.argv.slice(2);
  const isNumber = (text) => /^[0-9]+$/.test(text);
  if (!isNumber(quantity) || !isNumber(hold ?? "0") || others.length > 0) {
    console.error("Usage: node place_order.mjs http://localhost:8080 C123 P001 2 [hold seconds]");
    process.exit(1);
  }
  const token = process.env.PAYMENT_TOKEN ?? "";
  if (hold && !/^[!-~]+$/.test(token)) {
    console.error("Set PAYMENT_TOKEN to the token of the payment service. Nothing was ordered.");
    process.exit(1);
  }
  const body = { customer_id, product_id, quantity: Number(quantity) };
  if (hold) body.hold_seconds = Number(hold);
  try {
    let order = await placeOrder(shop, body, crypto.randomUUID());
    // here the customer pays
    if (hold) order = await confirmPayment(shop, order.order_id, token);
    console.log(JSON.stringify(order));
  } catch (error) {
    console.error(error instanceof Refused ? JSON.stringify(error.problem) : error.message);
    process.exitCode = 1;
  }
}
