// Small parts that the sections of a lead share.
import { freshId, h, icon } from "../dom.js";
import { t } from "../i18n.js";
import { toast } from "../toasts.js";

/**
 * @param {string} title
 * @param {import("../dom.js").Child} aside
 * @param {...import("../dom.js").Children} content
 */
export function section(title, aside, ...content) {
  const id = freshId("section");
  return h("section", { class: "section", "aria-labelledby": id }, h("div", { class: "section-head" }, h("h3", { id }, title), aside), ...content);
}

/**
 * @param {string} text
 * @param {string} name
 */
export function copyButton(text, name) {
  return h(
    "button",
    { type: "button", class: "copy", "aria-label": name, title: name, "data-name": `copy ${text.slice(0, 60)}`, onclick: () => copyText(text) },
    icon("copy"),
  );
}

/** @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("copied"));
  } catch {
    toast(t("copy.failed"), { tone: "bad" });
  }
}

/**
 * Old → new per field.
 * @param {Record<string, unknown[]>} fields
 * @param {string[]} [heads] other names of the two columns
 */
export function changesTable(fields, [old, next] = [t("change.old"), t("change.new")]) {
  return h(
    "table",
    { class: "changes" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, t("change.field")), h("th", { scope: "col" }, old), h("th", { scope: "col" }, next))),
    h(
      "tbody",
      null,
      Object.entries(fields).map(([name, values]) => h("tr", null, h("th", { scope: "row" }, name), h("td", { class: "muted" }, shown(values[0])), h("td", null, shown(values[1])))),
    ),
  );
}

/** @param {unknown} value */
export function shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/**
 * A button whose work is asked once at a time, and whose failure is told.
 * @param {string} name
 * @param {() => Promise<unknown>} work
 * @param {(error: unknown) => void} failed
 * @param {string} [look]
 */
export function deedButton(name, work, failed, look = "button small") {
  const button = h("button", { type: "button", class: look }, name);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      failed(error);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}
