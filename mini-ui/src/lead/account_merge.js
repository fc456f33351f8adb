// Two accounts in Dynamics that are one company: merged there for good, after a question.
import { change, get, movedOn } from "../api.js";
import { external, freshId, h } from "../dom.js";
import { t } from "../i18n.js";
import { confirmDialog } from "../overlays.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").CrmRecord} CrmRecord */
/** @typedef {import("../api-types").Lead} Lead */

const ALIKE = 5;

/**
 * Whether a person may merge this record into another.
 * @param {CrmRecord} record
 */
export const canMerge = (record) => may("act") && record.table === "account" && record.state === "synced" && record.crm_id !== null;

/**
 * The account of a company that was merged into this one, still a record of its own in Dynamics.
 * @param {CrmRecord} record
 * @param {string} winner domain of this company
 * @param {() => void} after
 */
export function mergedAccount(record, winner, after) {
  const name = t("account_merge.of", { domain: record.external_id });
  return [
    h("p", { class: "line-pair" }, h("span", null, record.link ? external(record.link, name) : name), h("span", { class: words.TONES[record.state] ?? null }, words.recordWords(record))),
    h("p", { class: "warn small" }, t("account_merge.apart")),
    canMerge(record) ? h("div", { class: "row-of" }, mergeButton(record, after, winner)) : null,
  ].filter((one) => one !== null);
}

/**
 * @param {CrmRecord} record whose account gives way
 * @param {() => void} after
 * @param {string} [winner] the company whose account stays, where it is known
 */
export function mergeButton(record, after, winner = "") {
  const button = h("button", { type: "button", class: "button small" }, t("account_merge"));
  button.addEventListener("click", () => ask(record, after, winner));
  return button;
}

/**
 * @param {CrmRecord} record
 * @param {() => void} after
 * @param {string} winner
 */
function ask(record, after, winner) {
  const ended = new AbortController();
  const into = h("input", { class: "input", required: true, maxlength: 253, placeholder: "example.com", autocapitalize: "none", spellcheck: "false", value: winner });
  const hint = h("p", { role: "status" });
  const alike = h("div");
  const wanted = () => into.value.trim().toLowerCase();
  const tell = () => hint.replaceChildren(wanted() ? t("account_merge.sure", { loser: record.external_id, winner: wanted() }) : "");
  into.addEventListener("input", tell);
  tell();
  const dialog = confirmDialog({
    title: t("account_merge.ask", { domain: record.external_id }),
    content: h("div", { class: "stack" }, h("p", null, t("account_merge.what")), alike, h("label", { class: "field" }, h("span", { class: "label" }, t("account_merge.into")), into), hint),
    deed: t("account_merge"),
    danger: true,
    run: async () => {
      await change("POST", `/dynamics/accounts/${encodeURIComponent(record.external_id)}/merge`, { into: wanted() });
      toast(t("account_merge.done", { loser: record.external_id, winner: wanted() }), { tone: "good" });
      after();
    },
  });
  dialog.addEventListener("close", () => ended.abort());
  if (!winner) {
    void similar(record, ended.signal).then((found) => found && alike.replaceChildren(choices(found, (domain) => ((into.value = domain), tell()))));
  }
  into.focus();
}

/**
 * Other companies whose account is in Dynamics and whose name begins alike.
 * @param {CrmRecord} record
 * @param {AbortSignal} signal
 * @returns {Promise<Lead[] | null>}
 */
async function similar(record, signal) {
  try {
    /** @type {import("../api-types").LeadDetail} */
    const { lead } = await get(`/leads/${encodeURIComponent(record.domain)}`, {}, signal);
    const word = lead.name.split(/[\s.,&-]+/).find((one) => one.length > 2);
    if (!word) return [];
    /** @type {{items: Lead[]}} */
    const { items } = await get("/leads", { q: word, dynamics_state: "synced", sort: "name", limit: ALIKE + 1 }, signal);
    return items.filter((one) => one.domain !== record.external_id).slice(0, ALIKE);
  } catch (error) {
    // The domain can still be written by hand.
    return movedOn(error) ? null : [];
  }
}

/**
 * @param {Lead[]} found
 * @param {(domain: string) => void} chosen
 */
function choices(found, chosen) {
  const name = freshId("alike");
  if (found.length === 0) return h("p", { class: "muted small" }, t("account_merge.none"));
  return h(
    "fieldset",
    null,
    h("legend", { class: "label" }, t("account_merge.alike")),
    found.map((one) => h("label", { class: "menu-row" }, h("input", { type: "radio", name, onchange: () => chosen(one.domain) }), h("span", null, h("span", { class: "strong" }, one.name), h("span", { class: "muted small" }, ` ${one.domain_shown}`)))),
  );
}
