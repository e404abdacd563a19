/* Elements and messages. Text is always added as text nodes, so it is never read as HTML. */

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children. An attribute "onclick" adds a listener; null omits it. */
export function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function button(text, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, text);
}

/** A field of a form with its label. */
export function labelled(text, control) {
  return make("label", null, text, control);
}

export function select(options, value, attributes = {}) {
  const element = make("select", attributes);
  for (const [key, text] of options) element.append(make("option", { value: key }, text));
  element.value = value;
  if (element.selectedIndex < 0) element.selectedIndex = 0;
  return element;
}

export function announce(text, kind = "") {
  byId("message").className = `notice ${kind}`;
  byId("message").textContent = text;
}

/** Replace the children. A link that had the focus gets it back if it is there again. */
export function replaceContent(container, ...children) {
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const href = focused?.getAttribute("href");
  container.replaceChildren(...children.filter((child) => child !== null));
  if (href) [...container.querySelectorAll("a")].find((link) => link.getAttribute("href") === href)?.focus();
}

/** Date and time in the time zone of the browser. The title has the exact text. */
export function timeOf(text) {
  const shown = new Date(text).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
  return make("time", { datetime: text, title: text }, shown);
}

export const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
