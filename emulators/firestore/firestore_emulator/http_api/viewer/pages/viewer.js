/* The data viewer: a client of the REST API. The fragment of the URL decides what it shows. */

import { documentView } from "/emulator/viewer/document.js";
import { announce, byId, make } from "/emulator/viewer/dom.js";
import { collectionView, homeView, rootView } from "/emulator/viewer/lists.js";
import { Live } from "/emulator/viewer/live.js";
import { Place } from "/emulator/viewer/place.js";

const live = new Live(() => refresh());
let view = null;
let reading = new AbortController();
let isReading = false;
let isDue = false; // a change came during a read, so another read must follow

function viewOf(place) {
  if (place.isHome) return homeView();
  if (place.isRoot) return rootView(place);
  return place.isCollection ? collectionView(place) : documentView(place);
}

async function open() {
  reading.abort();
  reading = new AbortController();
  const { signal } = reading;
  isReading = false;
  announce("");
  let place;
  try {
    place = Place.parse(location.hash);
    view = viewOf(place);
  } catch (error) {
    view = null;
    live.stop();
    show("This address cannot be shown", []);
    announce(error.message, "bad");
    return;
  }
  showPath(place);
  show(view.heading, view.content);
  await live.start(place);
  if (!signal.aborted) await refresh();
}

function show(heading, content) {
  document.title = `${heading} – Firestore emulator`;
  byId("heading").textContent = heading;
  byId("content").replaceChildren(...content);
  if (show.wasShown) byId("heading").focus();
  show.wasShown = true;
}

function showPath(place) {
  const items = [{ text: "Databases", place: new Place() }, ...place.steps].map(({ text, place: step }, index, all) =>
    make("li", null, make("a", { href: step.href, "aria-current": index === all.length - 1 ? "page" : null }, text)));
  byId("path").replaceChildren(make("ol", null, ...items));
}

/** Read and show the data. Changes during a read cause one more. */
async function refresh() {
  if (!view) return;
  if (isReading) {
    isDue = true;
    return;
  }
  const { signal } = reading;
  isReading = true;
  byId("main").setAttribute("aria-busy", "true");
  do {
    isDue = false;
    try {
      await view.refresh(signal);
      if (!signal.aborted && refresh.hasFailed) announce("");
      refresh.hasFailed = false;
    } catch (error) {
      if (signal.aborted) return;
      refresh.hasFailed = true;
      announce(error.message, "bad");
    }
  } while (isDue && !signal.aborted);
  if (signal.aborted) return;
  isReading = false;
  byId("main").setAttribute("aria-busy", "false");
}

addEventListener("hashchange", open);
byId("refresh").addEventListener("click", refresh);
byId("skip").addEventListener("click", () => byId("heading").focus());
open();
