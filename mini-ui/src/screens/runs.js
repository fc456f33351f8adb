// Runs: what each sync did, the runs of the engine, and what arrived that could not be read.
import { change, get, movedOn } from "../api.js";
import { external, h } from "../dom.js";
import { between, dateTime, duration, moment, number } from "../format.js";
import { t, word } from "../i18n.js";
import { openDialog, plain } from "../overlays.js";
import { failure, nothing } from "../parts/list.js";
import { Side } from "../parts/side.js";
import { TabbedScreen, onRows } from "../parts/simple-screen.js";
import { address, go, route } from "../router.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import { deedButton, section, shown } from "../lead/pieces.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").Run} Run */
/** @typedef {import("../api-types").Sync} Sync */
/** @typedef {import("../api-types").Quarantined} Quarantined */

const failed = /** @param {unknown} error */ (error) => movedOn(error) || toast(plain(error), { tone: "bad" });
const OPEN = ["queued", "starting", "running"];

/** @param {Record<string, unknown> | null | undefined} counts */
export function countsWords(counts) {
  const parts = Object.entries(counts ?? {})
    .filter(([, value]) => typeof value === "number" && value > 0)
    .map(([name, value]) => `${word(`count.${name}`, name.replaceAll("_", " "))} ${number(Number(value))}`);
  return parts.length > 0 ? parts.join(" · ") : t("count.nothing");
}

class Runs extends TabbedScreen {
  room = "runs";
  title = /** @type {const} */ ("room.runs");
  /** @type {Side | null} */
  side = null;

  begin() {
    this.side = new Side(() => go(address("runs", null, route().params)), this.signal);
    super.begin();
    this.split?.append(this.side.element);
  }

  /** @returns {import("../parts/simple-screen.js").Tab[]} */
  tabs() {
    return [
      { tab: "syncs", label: "tab.syncs", path: "/syncs", columns: syncColumns, key: (one) => one.run_id ?? String(one.id), opens: () => "", empty: () => nothing(t("runs.empty"), t("runs.empty.what")) },
      { tab: "runs", label: "tab.runs", path: "/runs", columns: runColumns, key: (one) => one.id, opens: () => "", empty: () => nothing(t("runs.empty"), t("runs.empty.what")) },
      {
        tab: "quarantine",
        label: "tab.quarantine",
        count: "quarantine",
        path: "/quarantine",
        query: { state: "open" },
        what: "quarantine.what",
        columns: () => quarantineColumns(() => this.load(true)),
        key: (one) => String(one.id),
        empty: () => nothing(t("quarantine.empty"), t("quarantine.empty.what")),
        actions: () => (may("act") ? [onRows(deedButton(t("quarantine.retry"), async () => { await retry(undefined); void this.load(true); }, failed, "link"))] : []),
      },
    ];
  }

  /** @param {string | null} id */
  opened(id) {
    if (!this.side) return;
    if (id === null) {
      const before = this.side.id;
      if (this.side.hide() && before && !this.side.giveBack()) this.list?.focusRow(before);
    } else if (this.side.open(id)) void this.#load(id);
  }

  /** @param {boolean} [quiet] */
  async load(quiet = false) {
    await super.load(quiet);
    if (quiet && this.side?.id) void this.#load(this.side.id);
  }

  /** @param {string} id */
  async #load(id) {
    try {
      /** @type {Run} */
      const run = await get(`/runs/${encodeURIComponent(id)}`, {}, this.signal);
      if (this.side?.id !== id) return;
      const { stages = [], steps = [] } = run;
      this.side?.fill(word(`job.${run.job}`, run.job.replaceAll("_", " ")), [
        h(
          "section",
          { class: "section" },
          h("p", { class: words.TONES[run.state] ?? null }, words.runState(run.state)),
          run.error ? h("p", { class: "bad" }, run.error) : null,
          h("p", { class: "muted small" }, run.started_at ? moment(run.started_at, dateTime) : null, run.finished_at ? ` · ${between(run.started_at, run.finished_at)}` : null, run.requested_by ? ` · ${words.who(run.requested_by)}` : null),
          h(
            "div",
            { class: "row-of" },
            external(run.url, t("run.in_dagster")),
            OPEN.includes(run.state) && may("act") ? deedButton(t("run.cancel"), async () => { await change("POST", `/runs/${encodeURIComponent(id)}/cancel`); await this.#load(id); }, failed) : null,
          ),
        ),
        stages.length > 0
          ? section(t("run.stages"), null, h("ul", null, stages.map((one) => h("li", { class: "item" }, h("p", { class: "line-pair" }, h("span", { class: "strong" }, words.stage(one.kind)), h("span", { class: words.TONES[one.state] ?? null }, words.runState(one.state))), h("p", { class: one.error ? "bad small" : "muted small" }, one.error ?? countsWords(one.counts))))))
          : null,
        steps.length > 0 ? section(t("run.steps"), null, h("ul", null, steps.map((one) => h("li", { class: "line-pair" }, h("span", null, words.stage(one.name)), h("span", { class: "muted" }, `${word(`run_state.${one.state}`, one.state)} ${duration(one.seconds)}`))))) : null,
      ]);
    } catch (error) {
      if (!movedOn(error)) this.side?.fill(t("room.runs"), [failure(error, () => this.#load(id))]);
    }
  }
}

/** @param {number[] | undefined} ids */
async function retry(ids) {
  /** @type {{count: number}} */
  const { count } = await change("POST", "/quarantine/retry", ids ? { ids } : {});
  if (count === 0) toast(t("quarantine.retried.none"));
  else toast(t("quarantine.retried", { n: count }), { tone: "good" });
}

/**
 * @param {string} id
 * @param {string} text
 */
const opener = (id, text) => h("a", { class: "main-line", href: address("runs", id, route().params), "data-opens": true }, text);

/** @returns {import("../parts/list.js").Column<Sync>[]} */
function syncColumns() {
  return [
    { key: "stage", label: t("runs.stage"), class: "lead-cell", cell: (one) => h("div", { class: "two" }, one.run_id ? opener(one.run_id, words.stage(one.kind)) : h("span", { class: "main-line" }, words.stage(one.kind))) },
    { key: "state", label: t("runs.state"), cell: (one) => h("span", { class: words.TONES[one.state] ?? null }, words.runState(one.state)) },
    { key: "what", label: t("runs.what"), class: "d1", cell: (one) => (one.error ? h("span", { class: "bad" }, one.error) : h("span", { class: "muted" }, countsWords(one.counts))) },
    { key: "started", label: t("runs.started"), cell: (one) => moment(one.started_at) },
    { key: "took", label: t("runs.took"), class: "d2", cell: (one) => between(one.started_at, one.finished_at) },
    { key: "who", label: t("runs.who"), class: "d3", cell: (one) => words.who(one.requested_by ?? "engine") },
  ];
}

/** @returns {import("../parts/list.js").Column<Run>[]} */
function runColumns() {
  return [
    { key: "job", label: t("runs.job"), class: "lead-cell", cell: (one) => h("div", { class: "two" }, opener(one.id, word(`job.${one.job}`, one.job.replaceAll("_", " "))), h("span", { class: "sub-line" }, one.id.slice(0, 8))) },
    { key: "state", label: t("runs.state"), cell: (one) => words.twoLines(h("span", { class: words.TONES[one.state] ?? null }, words.runState(one.state)), one.error) },
    { key: "started", label: t("runs.started"), cell: (one) => moment(one.started_at) },
    { key: "took", label: t("runs.took"), class: "d1", cell: (one) => between(one.started_at, one.finished_at) },
    { key: "who", label: t("runs.who"), class: "d2", cell: (one) => words.who(one.requested_by ?? "engine") },
  ];
}

/**
 * @param {() => void} after
 * @returns {import("../parts/list.js").Column<Quarantined>[]}
 */
function quarantineColumns(after) {
  const look = /** @param {Quarantined} one */ async (one) => {
    const box = h("div", { class: "stack" }, h("p", null, one.detail));
    openDialog(`${words.source(one.source)} ${one.external_id}`, box, { wide: true });
    if (!may("admin")) return;
    try {
      /** @type {{payload: unknown}} */
      const { payload } = await get(`/quarantine/${one.id}`);
      box.append(h("h3", null, t("quarantine.payload")), h("pre", { class: "quote mono" }, typeof payload === "string" ? payload : JSON.stringify(payload, null, 2)));
    } catch (error) {
      box.append(h("p", { class: "bad" }, plain(error)));
    }
  };
  return [
    { key: "source", label: t("column.source"), class: "lead-cell", cell: (one) => h("div", { class: "two" }, h("button", { type: "button", class: "main-line link", onclick: () => look(one) }, words.source(one.source)), h("span", { class: "sub-line" }, one.external_id)) },
    { key: "reason", label: t("quarantine.reason"), cell: (one) => words.twoLines(word(`quarantine.${one.reason}`, one.reason.replaceAll("_", " ")), shown(one.detail)) },
    { key: "attempts", label: t("quarantine.attempts"), end: true, class: "d2", cell: (one) => number(one.attempts) },
    { key: "when", label: t("column.changed"), class: "d1", cell: (one) => moment(one.last_at) },
    { key: "again", label: t("retry"), quiet: true, end: true, cell: (one) => (may("act") ? deedButton(t("retry"), async () => { await retry([one.id]); after(); }, failed) : null) },
  ];
}

customElements.define("hunter-runs", Runs);
