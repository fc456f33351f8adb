// Corrections by a person: they outlive every sync until the field is given back to the sources.
import { change, movedOn } from "../api.js";
import { h } from "../dom.js";
import { companySize } from "../format.js";
import { t } from "../i18n.js";
import { confirmDialog, plain } from "../overlays.js";
import { address, go } from "../router.js";
import { toast } from "../toasts.js";
import { deedButton } from "./pieces.js";

/** @typedef {import("../api-types").Company} Company */

const FIELDS = /** @type {const} */ (["name", "country", "city", "size", "phone", "website"]);

/**
 * @param {Company} company
 * @param {() => void} after
 */
export function editCompany(company, after) {
  const inputs = FIELDS.map((name) => {
    if (name === "size") return { name, input: sizeChoice(company.size ?? ""), before: company.size ?? "" };
    const input = h("input", { class: "input", value: company[name] ?? "", maxlength: 300, required: name === "name" });
    if (name === "country") Object.assign(input, { pattern: "[A-Za-z]{2}", maxLength: 2, title: t("edit.country") });
    return { name, input, before: company[name] ?? "" };
  });
  confirmDialog({
    title: t("edit.title", { name: company.name }),
    content: h(
      "div",
      { class: "stack" },
      h("p", { class: "muted" }, t("edit.what")),
      inputs.map(({ name, input }) => h("label", { class: "field" }, h("span", { class: "label" }, t(/** @type {import("../i18n.js").TextKey} */ (`field.${name}`))), input)),
    ),
    deed: t("save"),
    run: async () => {
      /** @type {Record<string, string | null>} */
      const body = {};
      for (const { name, input, before } of inputs) {
        const value = name === "country" ? input.value.trim().toUpperCase() : input.value.trim();
        if (value !== before) body[name] = value === "" ? null : value;
      }
      if (Object.keys(body).length === 0) return;
      await change("PATCH", `/leads/${encodeURIComponent(company.domain)}`, body);
      toast(t("edit.done"), { tone: "good" });
      after();
    },
  });
}

/** Company sizes as Partner Center codes them. */
const SIZES = ["1to9employees", "10to50employees", "51to250employees", "251to1000employees", "1001to5000employees", "5001to10000employees", "10001to20000employees", "20000plusemployees"];

/** @param {string} now a code, or what a source wrote */
function sizeChoice(now) {
  const choices = now === "" || SIZES.includes(now) ? SIZES : [now, ...SIZES];
  return h("select", { class: "input", value: now }, h("option", { value: "" }, "–"), choices.map((value) => h("option", { value }, companySize(value))));
}

/**
 * @param {string} domain
 * @param {() => void} after
 */
export function mergeCompany(domain, after) {
  const into = h("input", { class: "input", required: true, maxlength: 253, placeholder: "example.com", autocapitalize: "none", spellcheck: "false" });
  confirmDialog({
    title: t("merge.title", { domain }),
    content: h("div", { class: "stack" }, h("p", { class: "muted" }, t("merge.what")), h("label", { class: "field" }, h("span", { class: "label" }, t("merge.into")), into)),
    deed: t("merge"),
    run: async () => {
      /** @type {{merge_id: number}} */
      const { merge_id: merged } = await change("POST", `/leads/${encodeURIComponent(domain)}/merge`, { into: into.value.trim() });
      const undo = undoMerge(merged, domain);
      toast(t("merge.done", { domain, into: into.value.trim() }), { tone: "good", action: undo });
      go(address("leads", into.value.trim().toLowerCase(), new URLSearchParams(location.search)));
      after();
    },
  });
}

/**
 * A button that parts a merged company again and opens it.
 * @param {number} id of the merge
 * @param {string} loser
 */
export function undoMerge(id, loser) {
  const failed = /** @param {unknown} error */ (error) => movedOn(error) || toast(plain(error), { tone: "bad" });
  const button = deedButton(
    t("undo"),
    async () => {
      await change("POST", `/merges/${id}/undo`);
      toast(t("merge.undone"), { tone: "good" });
      go(address("leads", loser, new URLSearchParams(location.search)));
    },
    failed,
    "link",
  );
  button.setAttribute("aria-label", t("merge.undo", { domain: loser }));
  return button;
}
