/* Live updates: the stream of changes of the place that is shown.
 *
 * A browser has few connections to one server, so a hidden tab closes its stream. */

import { byId } from "/emulator/viewer/dom.js";

const OFF = "Live updates are off: the emulator accepts no further stream. Use Refresh.";

export class Live {
  constructor(onChange) {
    this.onChange = onChange;
    this.source = null;
    this.url = null;
    document.addEventListener("visibilitychange", () => this.followVisibility());
  }

  /** Resolves when the stream has begun or has failed: a read from then on misses no change. */
  async start(place) {
    this.stop();
    if (place.isHome) return;
    this.url = `/emulator/v1/${place.database.url}:changes?${new URLSearchParams({ path: place.path })}`;
    if (!document.hidden) await new Promise((resolve) => this.open(resolve));
  }

  stop() {
    this.close();
    this.url = null;
    byId("live").textContent = "";
  }

  open(resolve) {
    const source = new EventSource(this.url);
    this.source = source;
    this.finish = resolve;
    let isFirst = true;
    source.addEventListener("ready", () => {
      byId("live").textContent = "Live updates are on.";
      if (!isFirst) this.onChange();
      isFirst = false;
      resolve();
    });
    source.addEventListener("change", () => this.onChange());
    source.addEventListener("error", () => {
      isFirst = false;
      byId("live").textContent = source.readyState === EventSource.CLOSED ? OFF : "Live updates are interrupted. Reconnecting…";
      resolve();
    });
  }

  async reopen() {
    await new Promise((resolve) => this.open(resolve));
    if (this.source) this.onChange();
  }

  close() {
    this.source?.close();
    this.source = null;
    this.finish?.();
  }

  followVisibility() {
    if (document.hidden) this.close();
    else if (this.url && !this.source) this.reopen();
  }
}
