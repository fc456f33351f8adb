// What a person decides about a record in Dynamics: qualify a lead, win or lose a deal, make a deleted record again.
import { change } from "../api.js";
import { h } from "../dom.js";
import { t, word } from "../i18n.js";
import { confirmDialog } from "../overlays.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").CrmRecord} CrmRecord */

/**
 * The buttons beside a record; none where nothing can be decided.
 * @param {CrmRecord} record
 * @param {() => void} after
 */
export function crmDeeds(record, after) {
  if (!may("act")) return null;
  const buttons = possible(record).map((deed) => {
    const button = h("button", { type: "button", class: "button small" }, word(`crm_deed.${deed}`, deed));
    button.addEventListener("click", () => ask(record, deed, after));
    return button;
  });
  return buttons.length > 0 ? h("div", { class: "row-of" }, buttons) : null;
}

/**
 * @param {CrmRecord} record
 * @returns {string[]}
 */
function possible(record) {
  if (record.state === "deleted_in_crm") return ["recreate"];
  if (record.state !== "synced" || record.crm_state !== "open") return [];
  if (record.table === "lead") return ["qualify"];
  return record.table === "opportunity" ? ["win", "lose"] : [];
}

/**
 * @param {CrmRecord} record
 * @param {string} deed
 * @param {() => void} after
 */
function ask(record, deed, after) {
  const closing = deed === "win" || deed === "lose";
  const reason = h("input", { class: "input", maxlength: 200 });
  confirmDialog({
    title: t("crm_deed.ask", { deed: word(`crm_deed.${deed}`, deed), table: words.table(record.table), domain: record.domain_shown }),
    content: h(
      "div",
      { class: "stack" },
      h("p", { class: "muted" }, word(`crm_deed.${deed}.what`, "")),
      closing ? h("label", { class: "field" }, h("span", { class: "label" }, t("field.reason")), reason) : null,
    ),
    deed: word(`crm_deed.${deed}`, deed),
    danger: deed === "lose",
    run: async () => {
      if (closing) {
        await change("POST", `/dynamics/opportunities/${encodeURIComponent(record.external_id)}/close`, { won: deed === "win", reason: reason.value.trim() });
      } else if (deed === "qualify") {
        await change("POST", `/dynamics/leads/${encodeURIComponent(record.domain)}/qualify`);
      } else {
        await change("POST", "/dynamics/records/recreate", { table: record.table, external_id: record.external_id });
      }
      toast(`${word(`crm_deed.${deed}.done`, deed)}: ${record.domain_shown}`, { tone: "good" });
      after();
    },
  });
}
