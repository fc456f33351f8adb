// CRM sync: what Dynamics refused, what matches several records, where the two differ, and what was sent.
import { apiAddress, change, movedOn } from "../api.js";
import { h } from "../dom.js";
import { dateTime, moment } from "../format.js";
import { t, word } from "../i18n.js";
import { openDialog, plain } from "../overlays.js";
import { nothing } from "../parts/list.js";
import { TabbedScreen, onRows } from "../parts/simple-screen.js";
import { address } from "../router.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import { recordParts } from "../lead/dynamics.js";
import { crmChanges, crmError, crmField, crmValue, fieldNames } from "../lead/crm_words.js";
import { deedButton } from "../lead/pieces.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").CrmRecord} CrmRecord */
/** @typedef {import("../api-types").Difference} Difference */
/** @typedef {import("../api-types").AuditEntry} AuditEntry */

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
      { tab: "rejects", label: "tab.rejects", count: "rejects", path: "/dynamics/rejects", columns: record, key, empty: () => nothing(t("crm.rejects.empty"), t("crm.rejects.empty.what")), actions: () => (may("act") ? [onRows(deedButton(t("retry.all"), () => retryAll(again), failed, "link"))] : []) },
      { tab: "conflicts", label: "tab.conflicts", count: "conflicts", path: "/dynamics/conflicts", columns: record, key, empty: () => nothing(t("crm.conflicts.empty"), t("crm.conflicts.empty.what")) },
      {
        tab: "differences",
        label: "tab.differences",
        count: "differences",
        path: "/dynamics/differences",
        columns: differenceColumns,
        key: (one) => String(one.id),
        empty: () => nothing(t("crm.differences.empty"), t("crm.differences.empty.what")),
        actions: () => [
          ...(may("act") ? [deedButton(t("crm.compare"), async () => { await change("POST", "/dynamics/reconcile"); toast(t("crm.comparing")); }, failed, "link")] : []),
          ...(may("admin") ? [onRows(deedButton(t("differences.mend"), async () => { await change("POST", "/dynamics/differences/mend"); toast(t("differences.mending")); }, failed, "link"))] : []),
        ],
      },
      {
        tab: "activity",
        label: "tab.activity",
        path: "/dynamics/audit",
        columns: auditColumns,
        key: (one) => String(one.id),
        empty: () => nothing(t("crm.activity.empty"), t("crm.activity.empty.what")),
        actions: () => (may("export") ? [h("a", { class: "link", href: apiAddress("/dynamics/audit.jsonl"), download: "" }, t("crm.activity.download"))] : []),
      },
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
      cell: (one) => h("div", { class: "two" }, h("a", { class: "main-line", href: address("leads", one.domain), "data-opens": true }, one.name || one.domain_shown), h("span", { class: "sub-line" }, one.domain_shown)),
    },
    { key: "priority", label: t("column.priority"), class: "d2", cell: (one) => words.badge(one.priority ?? null) },
    { key: "record", label: t("crm.record"), class: "d1", cell: (one) => words.table(one.table) },
    { key: "state", label: t("runs.state"), cell: (one) => words.twoLines(h("span", { class: words.TONES[one.state] ?? null }, words.recordWords(one)), crmError(one)) },
    { key: "when", label: t("column.changed"), class: "d3", cell: (one) => moment(one.changed_at) },
    {
      key: "fix",
      label: t("fix"),
      quiet: true,
      end: true,
      cell: (one) =>
        h("button", { type: "button", class: "button small", "aria-label": `${t(one.state === "conflict" ? "resolve" : "fix")}: ${one.name || one.domain_shown}`, onclick: () => { const dialog = openDialog(one.name || one.domain_shown, h("div", { class: "stack" }, h("p", null, h("a", { href: address("leads", one.domain) }, one.domain_shown)), ...recordParts(one, () => { dialog.close(); after(); }))); } }, t(one.state === "conflict" ? "resolve" : "fix")),
    },
  ];
}

/** @returns {import("../parts/list.js").Column<Difference>[]} */
function differenceColumns() {
  return [
    { key: "company", label: t("column.company"), class: "lead-cell", cell: (one) => (one.domain ? h("a", { href: address("leads", one.domain), "data-opens": true }, one.domain_shown) : h("span", { class: "mono" }, one.external_id)) },
    { key: "record", label: t("crm.record"), class: "d1", cell: (one) => words.table(one.table) },
    { key: "kind", label: t("difference.kind"), cell: (one) => words.twoLines(word(`difference.${one.kind}`, one.kind), one.field ? crmField(one.field) : null) },
    { key: "claimed", label: t("difference.claimed"), class: "d2", cell: (one) => crmValue(one.field ?? "", one.claimed) },
    { key: "found", label: t("difference.found"), class: "d2", cell: (one) => crmValue(one.field ?? "", one.found) },
    { key: "when", label: t("difference.when"), class: "d3", cell: (one) => moment(one.found_at, dateTime) },
  ];
}

/** @returns {import("../parts/list.js").Column<AuditEntry>[]} */
function auditColumns() {
  return [
    { key: "company", label: t("column.company"), class: "lead-cell", cell: (one) => h("div", { class: "two" }, h("a", { class: "main-line", href: address("leads", one.domain), "data-opens": true }, one.domain_shown), h("span", { class: "sub-line" }, words.table(one.table))) },
    { key: "operation", label: t("crm.operation"), cell: (one) => words.twoLines(word(`operation.${one.operation}`, one.operation), one.fields ? fieldNames(one.fields) : null) },
    { key: "outcome", label: t("runs.state"), cell: (one) => words.twoLines(h("span", { class: OUTCOMES[one.outcome] ?? null }, word(`outcome.${one.outcome}`, one.outcome)), one.detail) },
    { key: "who", label: t("runs.who"), class: "d2", cell: (one) => words.who(one.actor) },
    { key: "when", label: t("crm.when"), class: "d1", cell: (one) => moment(one.at) },
    {
      key: "fields",
      label: t("crm.changes"),
      quiet: true,
      end: true,
      cell: (one) =>
        one.fields && Object.keys(one.fields).length > 0
          ? h("button", { type: "button", class: "button small", "aria-label": `${t("crm.changes")}: ${one.domain_shown}, ${words.table(one.table)}`, onclick: () => openDialog(`${one.domain_shown}, ${words.table(one.table)}`, h("div", { class: "stack" }, h("p", { class: "muted small" }, dateTime(one.at), ` · ${words.who(one.actor)}`), crmChanges(one.fields)), { wide: true }) }, t("crm.changes"))
          : null,
    },
  ];
}

/** @type {Record<string, string>} */
const OUTCOMES = { confirmed: "good", recovered: "good", rejected: "bad", deferred: "muted", unknown: "warn", sent: "muted" };

customElements.define("hunter-crm", Crm);
