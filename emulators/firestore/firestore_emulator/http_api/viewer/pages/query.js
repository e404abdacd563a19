/* The form of a simple query, and the query of the REST API that it stands for. */

import { announce, button, labelled, make, select } from "/emulator/viewer/dom.js";

export const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 500;
const OPERATORS = [
  ["EQUAL", "equals"],
  ["NOT_EQUAL", "does not equal"],
  ["LESS_THAN", "is less than"],
  ["LESS_THAN_OR_EQUAL", "is at most"],
  ["GREATER_THAN", "is greater than"],
  ["GREATER_THAN_OR_EQUAL", "is at least"],
  ["ARRAY_CONTAINS", "array contains"],
  ["ARRAY_CONTAINS_ANY", "array contains any of"],
  ["IN", "is one of"],
  ["NOT_IN", "is none of"],
];
const LISTS = new Set(["ARRAY_CONTAINS_ANY", "IN", "NOT_IN"]);
const KINDS = [
  ["string", "string"], ["integer", "integer"], ["double", "double"], ["boolean", "boolean"], ["null", "null"],
  ["timestamp", "timestamp"], ["reference", "reference"], ["json", "REST JSON"],
];
const DIRECTIONS = [["ASCENDING", "ascending"], ["DESCENDING", "descending"]];
const UNARY = { EQUAL: "IS", NOT_EQUAL: "IS_NOT" };
const INTEGER = /^-?\d+$/;
const DOUBLES = new Set(["NaN", "Infinity", "-Infinity"]);

/** The StructuredQuery of the criteria. Throws an Error for a value that is not of its type. */
export function structuredQuery(place, { filters, order, limit }) {
  const query = { from: [{ collectionId: place.id }], limit };
  const all = filters.map((each) => filterOf(each, place));
  if (all.length === 1) [query.where] = all;
  if (all.length > 1) query.where = { compositeFilter: { op: "AND", filters: all } };
  if (order.field) query.orderBy = [{ field: { fieldPath: order.field }, direction: order.direction }];
  return query;
}

function filterOf({ field, op, kind, text }, place) {
  const unary = { null: "NULL", NaN: "NAN" }[kind === "double" ? text.trim() : kind];
  if (unary && UNARY[op]) return { unaryFilter: { op: `${UNARY[op]}_${unary}`, field: { fieldPath: field } } };
  const isList = LISTS.has(op) && kind !== "json";
  const value = isList
    ? { arrayValue: { values: text.split(",").map((each) => valueOf(kind, each.trim(), place, field)) } }
    : valueOf(kind, text, place, field);
  return { fieldFilter: { field: { fieldPath: field }, op, value } };
}

function valueOf(kind, text, place, field) {
  const word = text.trim();
  const wrong = (expected) => new Error(`The value of ${field} must be ${expected}, but is “${text}”.`);
  switch (kind) {
    case "string": return { stringValue: text };
    case "integer":
      if (!INTEGER.test(word)) throw wrong("a whole number");
      return { integerValue: word };
    case "double":
      if (DOUBLES.has(word)) return { doubleValue: word };
      if (!word || !Number.isFinite(Number(word))) throw wrong("a number, NaN, Infinity or -Infinity");
      return { doubleValue: Number(word) };
    case "boolean":
      if (word !== "true" && word !== "false") throw wrong("true or false");
      return { booleanValue: word === "true" };
    case "null": return { nullValue: null };
    case "timestamp": return { timestampValue: word };
    case "reference":
      return { referenceValue: word.startsWith("projects/") ? word : `${place.root.name}/${word}` };
    default:
      try {
        return JSON.parse(text);
      } catch {
        throw wrong('a value of the REST API, such as {"integerValue": "1"}');
      }
  }
}

/** The criteria in the parameters of a place; null if it has none. Throws an Error if they are damaged. */
export function criteriaOf(place) {
  const text = place.parameters.get("query");
  if (text === null) return null;
  try {
    const { filters = [], order = {}, limit = DEFAULT_LIMIT } = JSON.parse(text);
    return {
      filters: filters.map(({ field, op, kind, text: value }) => ({ field, op, kind, text: String(value) })),
      order: { field: order.field ?? "", direction: order.direction ?? "ASCENDING" },
      limit: Math.min(Number(limit) || DEFAULT_LIMIT, MAX_LIMIT),
    };
  } catch {
    throw new Error("The address is not valid: its query is damaged.");
  }
}

/** A form that opens the place with its criteria. */
export function queryForm(place, criteria) {
  const rows = make("div", { class: "filters", id: "filters" });
  const field = make("input", { autocapitalize: "off", spellcheck: "false", autocomplete: "off" });
  field.value = criteria?.order.field ?? "";
  const direction = select(DIRECTIONS, criteria?.order.direction ?? "ASCENDING");
  const limit = make("input", { type: "number", min: "1", max: String(MAX_LIMIT), required: "" });
  limit.value = criteria?.limit ?? DEFAULT_LIMIT;
  const add = (filter) => {
    const row = filterRow(filter, () => { row.remove(); addButton.focus(); });
    rows.append(row);
    return row;
  };
  const addButton = button("Add filter", () => add().querySelector("input").focus());
  for (const filter of criteria?.filters ?? []) add(filter);
  if (!criteria) add();
  const submit = (event) => {
    event.preventDefault();
    const read = {
      filters: [...rows.children].map((row) => row.read()),
      order: { field: field.value.trim(), direction: direction.value },
      limit: Number(limit.value),
    };
    try {
      structuredQuery(place, read);
    } catch (error) {
      announce(`The query did not run. ${error.message}`, "bad");
      return;
    }
    const { href } = place.with({ query: JSON.stringify(read) });
    if (href === location.hash) dispatchEvent(new Event("hashchange")); // run the same query again
    else location.hash = href;
  };
  const order = make("fieldset", { class: "order pair" }, labelled("Order by field", field), labelled("Direction", direction), labelled("Limit", limit));
  const actions = make("div", { class: "actions" },
    make("button", { class: "first" }, "Run query"), addButton,
    criteria ? make("a", { href: place.with({}).href }, "Show all documents") : null);
  const hint = make("p", { class: "soft" }, "The field __name__ is the document's name: compare it with a reference, such as orders/A1. Separate several values by commas.");
  return make("details", criteria ? { open: "" } : null, make("summary", null, "Query"),
    make("form", { onsubmit: submit, "aria-label": "Query" }, rows, order, hint, actions));
}

function filterRow(filter, remove) {
  const field = make("input", { required: "", autocapitalize: "off", spellcheck: "false", autocomplete: "off" });
  const op = select(OPERATORS, filter?.op ?? "EQUAL");
  const kind = select(KINDS, filter?.kind ?? "string");
  const text = make("input", { spellcheck: "false", autocomplete: "off" });
  field.value = filter?.field ?? "";
  text.value = filter?.text ?? "";
  const follow = () => { text.disabled = kind.value === "null"; };
  kind.addEventListener("change", follow);
  follow();
  const row = make("fieldset", { class: "filter pair", "aria-label": "Filter" },
    labelled("Field", field), labelled("Operator", op), labelled("Type", kind), labelled("Value", text),
    button("Remove", remove, { "aria-label": "Remove filter" }));
  row.read = () => ({ field: field.value.trim(), op: op.value, kind: kind.value, text: text.value });
  return row;
}
