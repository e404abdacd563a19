/* The place that the viewer shows. It is the fragment of the URL: the name in the REST API, such as
 * #/projects/P/databases/D/documents/COLLECTION/ID, with parameters after a question mark. */

const ROOT = 5; // projects, P, databases, D, documents

export class Place {
  constructor(segments = [], parameters = new URLSearchParams()) {
    this.segments = segments;
    this.parameters = parameters;
  }

  /** Throws an Error for a fragment that names no place. */
  static parse(fragment) {
    const [path, ...rest] = fragment.replace(/^#/, "").split("?");
    let segments;
    try {
      segments = path.split("/").filter(Boolean).map(decodeURIComponent);
    } catch {
      throw new Error("The address is not valid: it has a damaged percent sign.");
    }
    const [projects, , databases, , documents] = segments;
    const valid = segments.length >= ROOT && projects === "projects" && databases === "databases" && documents === "documents";
    if (segments.length && !valid) {
      throw new Error("The address is not valid. It must be #/projects/P/databases/D/documents, with a path after it if you like.");
    }
    return new Place(segments, new URLSearchParams(rest.join("?")));
  }

  static ofName(name) {
    return new Place(name.split("/"));
  }

  get isHome() { return this.segments.length === 0; }
  get isRoot() { return this.segments.length === ROOT; }
  get isCollection() { return this.segments.length > ROOT && this.segments.length % 2 === 0; }
  get id() { return this.segments.at(-1); }
  get name() { return this.segments.join("/"); }
  get database() { return new Place(this.segments.slice(0, ROOT - 1)); }
  get root() { return new Place(this.segments.slice(0, ROOT)); }
  get parent() { return new Place(this.segments.slice(0, -1)); }
  /** Below the documents of the database. */
  get path() { return this.segments.slice(ROOT).join("/"); }
  get url() { return this.segments.map(encodeURIComponent).join("/"); }

  child(id) { return new Place([...this.segments, id]); }

  with(parameters) {
    return new Place(this.segments, new URLSearchParams(parameters));
  }

  get href() {
    const parameters = this.parameters.toString();
    return `#/${this.url}${parameters ? `?${parameters}` : ""}`;
  }

  /** The names and places from the database to here. */
  get steps() {
    if (this.isHome) return [];
    const [, project, , database] = this.segments;
    const steps = [{ text: `${project} ${database}`, place: this.root }];
    for (let end = ROOT + 1; end <= this.segments.length; end++) {
      steps.push({ text: this.segments[end - 1], place: new Place(this.segments.slice(0, end)) });
    }
    return steps;
  }
}
