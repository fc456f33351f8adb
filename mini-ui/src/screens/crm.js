// CRM sync: what Dynamics refused, what matches several records, where the two differ, and what was sent.
import { change, movedOn } from "../api.js";
import { h } from "../dom.js";
import { between, dateTime, moment } from "../format.js";
import { t, word } from "../i18n.js";
import { openDialog, plain } from "../overlays.js";
import { nothing } from "../parts/list.js";
import { TabbedScreen } from "../parts/simple-screen.js";
import { address } from "../router.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import { recordParts } from "../lead/dynamics.js";
import { deedButton, shown } from "../lead/pieces.js";
import * as words from "../words.js";
import { countsWords } from "./runs.js";

/** @typedef {import("../api-types").CrmRecord} CrmRecord */
/** @typedef {import("../api-types").Difference} Difference */
/** @typedef {import("../api-types").Sync} Sync */

const failed = /** @param {unknown} error */ (error) => movedOn(error) || toast(plain(error), { tone: "bad" });

class Crm extends TabbedScreen {
  room = "crm";
  title = /** @type {const} */ ("room.crm");

  /** @returns {import("../parts/simple-screen.js").Tab[]} */
  tabs() {
    const again = () => this.load(true);
    const record = () => recordColumns(again);
    const key = /** @param {CrmRecord} one */ (one) => `${one.table} ${one.external_id}`;
    return [
      { tab: "rejects", label: "tab.rejects", path: "/dynamics/rejects", columns: record, key, empty: () => nothing(t("crm.rejects.empty"), t("crm.rejects.empty.what")), actions: () => (may("act") ? [deedButton(t("retry.all"), () => retryAll(again), failed, "link")] : []) },
      { tab: "conflicts", label: "tab.conflicts", path: "/dynamics/conflicts", columns: record, key, empty: () => nothing(t("crm.conflicts.empty"), t("crm.conflicts.empty.what")) },
      {
        tab: "differences",
        label: "tab.differences",
        path: "/dynamics/differences",
        columns: differenceColumns,
        key: (one) => String(one.id),
        empty: () => nothing(t("crm.differences.empty"), t("crm.differences.empty.what")),
        actions: () => [
          ...(may("act") ? [deedButton(t("crm.compare"), async () => { await change("POST", "/dynamics/reconcile"); toast(t("crm.comparing")); }, failed, "link")] : []),
          ...(may("admin") ? [deedButton(t("differences.mend"), async () => { await change("POST", "/dynamics/differences/mend"); toast(t("differences.mending")); }, failed, "link")] : []),
        ],
      },
      { tab: "activity", label: "tab.activity", path: "/syncs", query: { kind: "dynamics_records" }, columns: syncColumns, key: (one) => String(one.id), empty: () => nothing(t("crm.activity.empty"), t("crm.activity.empty.what")) },
    ];
  }
}

/** @param {() => void} after */
async function retryAll(after) {
  /** @type {{count: number}} */
  const { count } = await change("POST", "/dynamics/rejects/retry");
  toast(t("retry.count", { n: count }), { tone: "good" });
  after();
}

/**
 * @param {() => void} after
 * @returns {import("../parts/list.js").Column<CrmRecord>[]}
 */
function recordColumns(after) {
  return [
    {
      key: "company",
      label: t("column.company"),
      class: "lead-cell",
      cell: (one) => h("div", { class: "two" }, h("a", { class: "main-line", href: address("leads", one.domain), "data-opens": true }, one.name || one.domain), h("span", { class: "sub-line" }, one.domain)),
    },
    { key: "priority", label: t("column.priority"), class: "d2", cell: (one) => words.badge(one.priority ?? null) },
    { key: "record", label: t("crm.record"), class: "d1", cell: (one) => words.table(one.table) },
    { key: "state", label: t("runs.state"), cell: (one) => words.twoLines(h("span", { class: words.TONES[one.state] ?? null }, words.recordWords(one)), one.error ?? (Array.isArray(one.candidates) ? t("conflict.what", { n: one.candidates.length, table: words.table(one.table) }) : null)) },
    { key: "when", label: t("column.changed"), class: "d3", cell: (one) => moment(one.changed_at) },
    {
      key: "fix",
      label: t("fix"),
      quiet: true,
      end: true,
      cell: (one) =>
        h("button", { type: "button", class: "button small", "aria-label": `${t(one.state === "conflict" ? "resolve" : "fix")}: ${one.name || one.domain}`, onclick: () => { const dialog = openDialog(one.name || one.domain, h("div", { class: "stack" }, h("p", null, h("a", { href: address("leads", one.domain) }, one.domain)), ...recordParts(one, () => { dialog.close(); after(); }))); } }, t(one.state === "conflict" ? "resolve" : "fix")),
    },
  ];
}

/** @returns {import("../parts/list.js").Column<Difference>[]} */
function differenceColumns() {
  return [
    { key: "company", label: t("column.company"), class: "lead-cell", cell: (one) => (one.domain ? h("a", { href: address("leads", one.domain), "data-opens": true }, one.domain) : h("span", { class: "mono" }, one.external_id)) },
    { key: "record", label: t("crm.record"), class: "d1", cell: (one) => words.table(one.table) },
    { key: "kind", label: t("difference.kind"), cell: (one) => words.twoLines(word(`difference.${one.kind}`, one.kind), one.field) },
    { key: "claimed", label: t("difference.claimed"), class: "d2", cell: (one) => shown(one.claimed) },
    { key: "found", label: t("difference.found"), class: "d2", cell: (one) => shown(one.found) },
    { key: "when", label: t("difference.when"), class: "d3", cell: (one) => moment(one.found_at, dateTime) },
  ];
}

/** @returns {import("../parts/list.js").Column<Sync>[]} */
function syncColumns() {
  return [
    { key: "when", label: t("runs.started"), class: "lead-cell", cell: (one) => moment(one.started_at, dateTime) },
    { key: "state", label: t("runs.state"), cell: (one) => h("span", { class: words.TONES[one.state] ?? null }, words.runState(one.state)) },
    { key: "what", label: t("runs.what"), cell: (one) => (one.error ? h("span", { class: "bad" }, one.error) : countsWords(one.counts)) },
    { key: "took", label: t("runs.took"), class: "d2", cell: (one) => between(one.started_at, one.finished_at) },
  ];
}

customElements.define("hunter-crm", Crm);
