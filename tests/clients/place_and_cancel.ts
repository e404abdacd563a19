/* Places and cancels an order with the types that openapi-typescript generated, and openapi-fetch.
 *
 * usage: node place_and_cancel.js ORDER_URL KEY
 *
 * Prints JSON, as place_and_cancel.py does.
 */

import createClient from "openapi-fetch";
import type { components, paths } from "./order.js";

type Order = components["schemas"]["Order"];
type OrderRequest = components["schemas"]["OrderRequest"];

declare const process: { argv: string[] };
declare const console: { log(text: string): void };

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("The response has another status than expected.");
  return value;
}

const [url, key] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl: url });
const body: OrderRequest = { customer_id: "C123", product_id: "P001", quantity: 2 };
const header = { "Idempotency-Key": key };

const placed: Order = present((await client.POST("/orders", { body, params: { header } })).data);
const repeated = await client.POST("/orders", { body, params: { header } });
const params = { path: { order_id: placed.order_id } };
const cancelled = present((await client.POST("/orders/{order_id}/cancel", { params })).data);
const shown = present((await client.GET("/orders/{order_id}", { params })).data);
const unknown: OrderRequest = { customer_id: "C123", product_id: "P999", quantity: 1 };
const rejected = present((await client.POST("/orders", { body: unknown })).error);

console.log(JSON.stringify({
  placed: placed.status,
  total: placed.total_price,
  repeated: [repeated.data?.order_id === placed.order_id, repeated.response.status],
  cancelled: cancelled.status,
  shown: shown.status,
  rejected: [rejected.type, rejected.product_ids],
}));
