/* Values of the REST API as text and as trees. */

import { button, counted, make, timeOf } from "/emulator/viewer/dom.js";
import { Place } from "/emulator/viewer/place.js";

const MAX_ITEMS = 100;
const MAX_TEXT = 5000;
const PREVIEW = 200;
const TYPES = {
  nullValue: "null",
  booleanValue: "boolean",
  integerValue: "integer",
  doubleValue: "double",
  timestampValue: "timestamp",
  stringValue: "string",
  bytesValue: "bytes",
  referenceValue: "reference",
  geoPointValue: "geo point",
  arrayValue: "array",
  mapValue: "map",
};

/** The type's name in the API and the content of a value. */
function open(value) {
  const [type = "nullValue", content = null] = Object.entries(value)[0] ?? [];
  return [type, content];
}

const number = (content) => (Object.is(content, -0) ? "-0" : String(content));

/** The numbers of a vector, or null for any other value. */
function vectorOf(value) {
  const fields = value.mapValue?.fields;
  if (fields?.__type__?.stringValue !== "__vector__") return null;
  return (fields.value?.arrayValue?.values ?? []).map((each) => number(open(each)[1]));
}

function point({ latitude = 0, longitude = 0 }) {
  return `latitude ${latitude}, longitude ${longitude}`;
}

function bytes(content) {
  const size = Math.floor((content.replace(/=+$/, "").length * 3) / 4);
  return `${content} (base64 of ${counted(size, "byte")})`;
}

/** The fields on one line, cut off. */
export function preview(fields) {
  let text = "";
  for (const [name, value] of sorted(fields)) {
    if (text.length > PREVIEW) return `${text.slice(0, PREVIEW)}…`;
    text += `${text && ", "}${name}: ${short(value)}`;
  }
  return text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text;
}

function short(value) {
  const [type, content] = open(value);
  switch (type) {
    case "stringValue": return JSON.stringify(content.slice(0, PREVIEW));
    case "arrayValue": return `[${counted(content.values?.length ?? 0, "element")}]`;
    case "mapValue": return vectorOf(value) ? "vector" : `{${counted(Object.keys(content.fields ?? {}).length, "field")}}`;
    case "geoPointValue": return point(content);
    case "referenceValue": return Place.ofName(content).path;
    default: return number(content).slice(0, PREVIEW);
  }
}

const sorted = (fields = {}) => Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));

export function fieldTree(fields) {
  return tree(sorted(fields), "This document has no fields.");
}

function tree(entries, whenEmpty) {
  if (!entries.length) return make("p", { class: "soft" }, whenEmpty);
  const list = make("ul", { class: "tree" });
  const add = (from, to) => list.append(...entries.slice(from, to).map(([key, value]) => item(key, value)));
  add(0, MAX_ITEMS);
  const rest = entries.length - MAX_ITEMS;
  if (rest > 0) {
    const more = make("li", null, button(`Show the other ${rest.toLocaleString("en")}`, () => {
      more.remove();
      add(MAX_ITEMS);
    }));
    list.append(more);
  }
  return list;
}

function item(key, value) {
  const [type, content] = open(value);
  const vector = vectorOf(value);
  const name = vector ? `vector of ${counted(vector.length, "dimension")}` : (TYPES[type] ?? type);
  return make("li", null,
    make("span", { class: "key" }, key), " ", make("span", { class: "type" }, name), " ",
    vector ? plain(`[${vector.join(", ")}]`) : shown(type, content));
}

function shown(type, content) {
  switch (type) {
    case "arrayValue": return tree((content.values ?? []).map((each, index) => [String(index), each]), "empty array");
    case "mapValue": return tree(sorted(content.fields), "empty map");
    case "timestampValue": return make("span", { class: "value" }, content, " (", timeOf(content), ")");
    case "referenceValue": return make("a", { href: Place.ofName(content).href, class: "value" }, content);
    case "geoPointValue": return plain(point(content));
    case "bytesValue": return plain(bytes(content));
    case "stringValue": return plain(content);
    default: return plain(number(content));
  }
}

function plain(text) {
  if (text.length <= MAX_TEXT) return make("span", { class: "value" }, text);
  const span = make("span", { class: "value" }, `${text.slice(0, MAX_TEXT)}… `);
  const more = button(`Show all ${counted(text.length, "character")}`, () => span.replaceChildren(text));
  span.append(more);
  return span;
}

/** JSON of the fields to edit. JSON has no -0, so it is the text "-0", which REST accepts. */
export function toJson(fields = {}) {
  return JSON.stringify(Object.fromEntries(sorted(fields)), (_, value) => (Object.is(value, -0) ? "-0" : value), 2);
}
