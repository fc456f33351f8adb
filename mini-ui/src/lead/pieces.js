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

/**
 * An address or a number to reach somebody by, with its copy button beside it.
 * @param {string} href
 * @param {string} text
 * @param {string} name of the button
 */
export const reach = (href, text, name) => h("span", { class: "reach" }, h("a", { href }, text), copyButton(text, name));

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
 * Old → new per field; without the old column where nothing was there before.
 * @param {[string, import("../dom.js").Child[]][]} rows name and the two values
 * @param {string[]} [heads] other names of the two columns
 */
export function changesTable(rows, [old = t("change.old"), next = t("change.new")] = []) {
  const first = rows.every(([, values]) => values[0] === NOTHING);
  return h(
    "table",
    { class: first ? "changes from-nothing" : "changes" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, t("change.field")), first ? null : h("th", { scope: "col" }, old), h("th", { scope: "col" }, next))),
    h(
      "tbody",
      null,
      rows.map(([name, values]) => h("tr", null, h("th", { scope: "row" }, name), first ? null : h("td", { class: "muted" }, values[0]), h("td", null, values[1]))),
    ),
  );
}

const NOTHING = "–";

/** @param {unknown} value */
export function shown(value) {
  if (value === null || value === undefined || value === "") return NOTHING;
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
    if (button.ariaDisabled === "true") return;
    // A disabled button would let go of the focus.
    button.ariaDisabled = "true";
    try {
      await work();
    } catch (error) {
      failed(error);
    } finally {
      button.ariaDisabled = null;
    }
  });
  return button;
}
