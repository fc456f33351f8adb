// Imports: drop a file, check its columns, watch it come in, take the rejected rows home.
import { apiAddress, change, get, movedOn } from "../api.js";
import { h } from "../dom.js";
import { dateTime, moment, number } from "../format.js";
import { language, t, word } from "../i18n.js";
import { live } from "../live.js";
import { plain } from "../overlays.js";
import { failure, nothing } from "../parts/list.js";
import { Side } from "../parts/side.js";
import { TabbedScreen } from "../parts/simple-screen.js";
import { address, go, route } from "../router.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import { deedButton, section, shown } from "../lead/pieces.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").Import} Import */
/** @typedef {import("../api-types").Preview} Preview */

const REJECTS_SHOWN = 20;

class Imports extends TabbedScreen {
  room = "imports";
  title = /** @type {const} */ ("room.imports");
  /** @type {Side | null} */
  side = null;

  begin() {
    this.side = new Side(() => go(address("imports", null, route().params)), this.signal);
    super.begin();
    if (this.tabBar) this.tabBar.hidden = true;
    this.split?.append(this.side.element);
    this.split?.before(this.dropZone());
    this.hears(live, "import_progress", () => this.side?.id && this.#load(this.side.id));
  }

  /** @returns {import("../parts/simple-screen.js").Tab[]} */
  tabs() {
    return [{ tab: "files", label: "room.imports", path: "/imports", columns, key: (one) => String(one.id), opens: () => "", empty: () => nothing(t("imports.empty"), t("imports.empty.what")) }];
  }

  dropZone() {
    const file = h("input", { type: "file", class: "unseen", accept: ".csv,.tsv,.txt,.xlsx,.xls", tabindex: -1, "aria-hidden": "true" });
    if (!may("act")) return h("div", { class: "drop" }, h("p", null, t("role.viewer")));
    const choose = h("button", { type: "button", class: "button", onclick: () => file.click() }, t("import.choose"));
    const zone = h("div", { class: "drop" }, h("p", null, h("span", { class: "strong" }, t("import.drop")), h("br"), h("span", { class: "small" }, t("import.drop.what"))), choose, file);
    file.addEventListener("change", () => {
      const chosen = file.files?.[0];
      if (chosen) void this.upload(chosen, choose);
      file.value = "";
    });
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      const dropped = event.dataTransfer?.files[0];
      if (dropped) void this.upload(dropped, choose);
    });
    return zone;
  }

  /**
   * @param {File} file
   * @param {HTMLButtonElement} button
   */
  async upload(file, button) {
    button.disabled = true;
    button.textContent = t("import.uploading", { name: file.name });
    try {
      const form = new FormData();
      form.append("file", file);
      /** @type {Import} */
      const made = await change("POST", "/imports", form);
      void this.load(true);
      go(address("imports", String(made.id)));
    } catch (error) {
      if (!movedOn(error)) toast(plain(error), { tone: "bad" });
    } finally {
      button.disabled = false;
      button.textContent = t("import.choose");
    }
  }

  /** @param {string | null} id */
  opened(id) {
    if (!this.side) return;
    if (id === null) {
      const before = this.side.id;
      if (this.side.hide() && before && !this.side.giveBack()) this.list?.focusRow(before);
    } else if (this.side.open(id)) void this.#load(id);
  }

  /** @param {string} id */
  async #load(id) {
    try {
      /** @type {Import} */
      const made = await get(`/imports/${encodeURIComponent(id)}`, {}, this.signal);
      const waiting = made.state === "uploaded";
      const preview = waiting && may("act") ? (made.preview ?? /** @type {Preview} */ (await get(`/imports/${encodeURIComponent(id)}/preview`, {}, this.signal))) : null;
      const rejected = made.counts?.rejected ?? 0;
      /** @type {{items: {line: number, reason: string, detail: string, row: unknown}[]} | null} */
      const rejects = rejected > 0 ? await get(`/imports/${encodeURIComponent(id)}/rejects`, { limit: REJECTS_SHOWN }, this.signal) : null;
      if (this.side?.id !== id) return;
      this.side?.fill(made.filename, [
        h("section", { class: "section" }, h("p", { class: words.TONES[made.state] ?? null, role: "status" }, stateWords(made)), made.error ? h("p", { class: "bad" }, made.error) : null, h("p", { class: "muted small" }, moment(made.created_at, dateTime), [words.who(made.requested_by), made.encoding, made.separator ? `“${made.separator}”` : ""].filter(Boolean).map((one) => ` · ${one}`).join(""))),
        made.state === "running" && may("act") ? h("section", { class: "section" }, h("div", null, this.leaveButton(made, t("import.stop"), ""))) : null,
        preview ? this.columnForm(made, preview) : null,
        rejects ? this.rejectSection(made, rejects.items) : null,
      ]);
    } catch (error) {
      if (!movedOn(error)) this.side?.fill(t("room.imports"), [failure(error, () => this.#load(id))]);
    }
  }

  /**
   * The way out of a file that was the wrong one, or that takes in what it should not.
   * @param {Import} made
   * @param {string} label
   * @param {string} said
   */
  leaveButton(made, label, said) {
    const failed = /** @param {unknown} error */ (error) => {
      if (!movedOn(error)) toast(plain(error), { tone: "bad" });
    };
    const leave = async () => {
      await change("POST", `/imports/${made.id}/cancel`);
      if (said) toast(said);
      void this.load(true);
      await this.#load(String(made.id));
    };
    return deedButton(label, leave, failed, "button");
  }

  /**
   * @param {Import} made
   * @param {Preview} preview
   */
  columnForm(made, preview) {
    const chosen = /** @type {Record<string, string | null>} */ (preview.columns ?? made.columns ?? {});
    const said = h("p", { class: "bad", role: "alert", hidden: true });
    const selects = preview.fields.map((field) => {
      const select = h("select", { name: field }, h("option", { value: "" }, t("import.left_out")), preview.headings.map((heading) => h("option", { value: heading }, heading)));
      select.value = typeof chosen[field] === "string" ? String(chosen[field]) : "";
      return { field, select };
    });
    const form = h(
      "form",
      { class: "stack" },
      h("p", { class: "muted" }, t("import.columns.what")),
      h("div", { class: "what-if" }, selects.map(({ field, select }) => h("label", { class: "field" }, h("span", { class: "label" }, word(`field.${field}`, field.replaceAll("_", " "))), select))),
      said,
      h("div", { class: "row-of" }, h("button", { class: "button primary", type: "submit" }, t("import.start")), this.leaveButton(made, t("import.discard"), t("import.discarded", { name: made.filename }))),
      h(
        "details",
        { class: "fold", "data-name": "rows", open: true },
        h("summary", null, t("import.first_rows")),
        h(
          "div",
          { class: "scrolls", tabindex: 0, role: "region", "aria-label": t("import.first_rows") },
          h("table", { class: "changes" }, h("thead", null, h("tr", null, preview.headings.map((heading) => h("th", { scope: "col" }, heading)))), h("tbody", null, preview.rows.slice(0, 5).map((row) => h("tr", null, row.map((cell) => h("td", null, cell ?? "")))))),
        ),
      ),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      if (button) button.disabled = true;
      try {
        await change("POST", `/imports/${made.id}/start`, { columns: Object.fromEntries(selects.map(({ field, select }) => [field, select.value || null])) });
        toast(t("import.started", { name: made.filename }));
        void this.load(true);
        await this.#load(String(made.id));
      } catch (error) {
        if (movedOn(error)) return;
        said.textContent = plain(error);
        said.hidden = false;
        if (button) button.disabled = false;
      }
    });
    return section(t("import.columns"), null, form);
  }

  /**
   * @param {Import} made
   * @param {{line: number, reason: string, detail: string, row: unknown}[]} rejects
   */
  rejectSection(made, rejects) {
    return section(
      t("import.rejects"),
      null,
      may("export") ? h("div", null, h("a", { class: "button small", download: "", href: apiAddress(`/imports/${made.id}/rejects.csv`, { lang: language() }) }, t("import.rejects.download"))) : null,
      h("ul", null, rejects.map((one) => h("li", { class: "item" }, h("p", null, h("span", { class: "number strong" }, number(one.line)), ` · ${word(`domain_rejected.${one.reason}`, one.detail || one.reason)}`), h("p", { class: "muted small address" }, rowWords(one.row))))),
    );
  }
}

/**
 * A row as its headings and cells.
 * @param {unknown} row
 */
function rowWords(row) {
  if (Array.isArray(row)) return row.filter((cell) => cell !== null && cell !== "").join(" · ");
  if (row === null || typeof row !== "object") return shown(row);
  return Object.entries(row)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name}: ${shown(value)}`)
    .join(" · ");
}

/** @param {Import} made */
function stateWords(made) {
  const said = word(`import.${made.state}`, made.state);
  const counts = made.counts;
  if (!counts || made.state === "uploaded") return said;
  return `${said} · ${t("import.counts", { stored: counts.stored ?? 0, unchanged: counts.unchanged ?? 0, rejected: counts.rejected ?? 0, rows: counts.rows ?? 0 })}`;
}

/** @returns {import("../parts/list.js").Column<Import>[]} */
function columns() {
  return [
    { key: "file", label: t("imports.file"), class: "lead-cell", cell: (one) => h("div", { class: "two" }, h("a", { class: "main-line", href: address("imports", String(one.id), route().params), "data-opens": true }, one.filename)) },
    { key: "state", label: t("runs.state"), cell: (one) => words.twoLines(h("span", { class: words.TONES[one.state] ?? null }, word(`import.${one.state}`, one.state)), one.error) },
    { key: "rows", label: t("imports.rows"), class: "d1", cell: (one) => (one.counts && one.state !== "uploaded" ? t("import.counts", { stored: one.counts.stored ?? 0, unchanged: one.counts.unchanged ?? 0, rejected: one.counts.rejected ?? 0, rows: one.counts.rows ?? 0 }) : "") },
    { key: "when", label: t("field.created"), cell: (one) => moment(one.created_at) },
    { key: "who", label: t("imports.who"), class: "d2", cell: (one) => words.who(one.requested_by) },
  ];
}

customElements.define("hunter-imports", Imports);
