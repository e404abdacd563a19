/* The view of one document: its fields, its subcollections, edit and delete. */

import * as api from "/emulator/viewer/api.js";
import { announce, button, byId, labelled, make, replaceContent, timeOf } from "/emulator/viewer/dom.js";
import { collectionList } from "/emulator/viewer/lists.js";
import { fieldTree, toJson } from "/emulator/viewer/values.js";

const MISSING = "This document does not exist. It may have been deleted, or only have subcollections.";

class DocumentView {
  constructor(place) {
    this.place = place;
    this.heading = place.id;
    this.summary = make("section", { "aria-label": "Document" });
    this.fields = make("section", { "aria-label": "Fields" });
    this.editor = make("section", { "aria-label": "Editor", hidden: "" });
    this.collections = collectionList(place, "This document has no subcollections.");
    this.content = [this.summary, this.editor, this.fields, this.collections.content];
    this.document = null;
    this.shownVersion = null; // the update time of the fields that are shown
    this.editedVersion = null; // the update time when the editor was opened; null without an editor
    this.editButton = button("Edit", () => this.edit(), { class: "first" });
    this.deleteButton = button("Delete", () => this.remove());
  }

  refresh = async (signal) => {
    this.document = await api.getDocument(this.place, signal);
    this.show();
    await this.collections.refresh(signal);
  };

  show() {
    this.showConflict();
    const { fields, createTime, updateTime } = this.document ?? {};
    if (updateTime !== undefined && updateTime === this.shownVersion) return;
    this.shownVersion = updateTime ?? null;
    if (!this.document) {
      replaceContent(this.summary, make("p", { class: "notice" }, MISSING));
      replaceContent(this.fields);
      return;
    }
    const focused = document.activeElement;
    replaceContent(this.summary,
      make("p", { class: "soft" }, "Created ", timeOf(createTime), " · Updated ", timeOf(updateTime)),
      make("div", { class: "actions" }, this.editButton, this.deleteButton));
    replaceContent(this.fields, make("div", { class: "card" }, fieldTree(fields)));
    if (focused === this.editButton || focused === this.deleteButton) focused.focus();
  }

  edit() {
    this.editedVersion = this.document.updateTime;
    this.text = make("textarea", { spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
    this.text.value = toJson(this.document.fields);
    this.conflict = make("div", { role: "alert" });
    const submit = (event) => { event.preventDefault(); this.save(); };
    this.saveButton = make("button", { class: "first" }, "Save");
    this.editor.replaceChildren(make("form", { onsubmit: submit, "aria-label": "Edit document" },
      labelled("Fields, as JSON of the REST API. Save replaces all fields.", this.text), this.conflict,
      make("div", { class: "actions" }, this.saveButton, button("Cancel", () => this.closeEditor()))));
    this.editor.hidden = false;
    this.editButton.disabled = true;
    this.text.focus();
  }

  closeEditor() {
    this.editedVersion = null;
    this.editor.hidden = true;
    this.editor.replaceChildren();
    this.editButton.disabled = false;
    if (this.document) this.editButton.focus();
    else byId("heading").focus();
  }

  async save() {
    let fields;
    try {
      fields = JSON.parse(this.text.value);
    } catch (error) {
      announce(`Not saved: the text is not valid JSON. ${error.message}`, "bad");
      return;
    }
    this.saveButton.disabled = true;
    try {
      this.document = await api.replaceDocument(this.place, fields, this.editedVersion);
      this.closeEditor();
      this.show();
      announce("Saved.");
    } catch (error) {
      announce(`Not saved: ${conflictOf(error) ?? error.message}`, "bad");
    } finally {
      this.saveButton.disabled = false;
      this.showConflict();
    }
  }

  /** Tells the user, while the editor is open, that saving would fail. */
  showConflict() {
    if (this.editedVersion === null || this.saveButton.disabled) return;
    let text = "";
    if (!this.document) {
      text = "The document was deleted after you opened the editor, so this text cannot be saved.";
    } else if (this.document.updateTime !== this.editedVersion) {
      text = "The document changed after you opened the editor, so this text cannot be saved.";
    }
    if ((this.conflict.querySelector("p")?.textContent ?? "") === text) return;
    this.conflict.replaceChildren(...(text ? [make("p", { class: "notice bad" }, text)] : []),
      ...(text && this.document ? [button("Discard my text and edit the current version", () => this.edit())] : []));
  }

  async remove() {
    const { updateTime } = this.document;
    byId("confirm-text").textContent = `${this.place.path} is deleted for good. Its subcollections stay.`;
    if (!(await confirmed())) return;
    try {
      await api.deleteDocument(this.place, updateTime);
    } catch (error) {
      announce(`Not deleted: ${conflictOf(error) ?? error.message}`, "bad");
      return;
    }
    const { path } = this.place;
    location.hash = this.place.parent.href;
    addEventListener("hashchange", () => announce(`Deleted ${path}.`), { once: true });
  }
}

export const documentView = (place) => new DocumentView(place);

/** The message for a document with another update time than the request required; else null. */
function conflictOf(error) {
  if (error.status !== "FAILED_PRECONDITION") return null;
  return "the document has changed or was deleted after you opened it. Look at the current version, then try again.";
}

function confirmed() {
  const dialog = byId("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}
