// What needs me today: figures and small plots, each the way to the leads behind it.
import { Part, h } from "../dom.js";
import { get, movedOn } from "../api.js";
import { day, money, number } from "../format.js";
import { t, word } from "../i18n.js";
import { keep, kept } from "../kept.js";
import { live } from "../live.js";
import { barPlot, funnelPlot } from "../parts/charts.js";
import { address } from "../router.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").Summary} Summary */

const PRIORITIES = ["P1", "P2", "P3", "P4", "P5", "P6"];
const SEGMENTS = ["GREENFIELD", "COMPETITIVE", "WEAK_PARTNER", "RENEWAL", "LOW_INTENT", "NO_GO"];

class Tiles extends Part {
  begin() {
    this.first = h("section", { class: "tiles", "aria-label": t("tiles"), "aria-busy": "true" }, bones());
    this.second = h("section", { class: "tiles plots", "aria-label": t("tiles.more"), hidden: kept("plots") !== "open" });
    this.replaceChildren(this.first, this.second);
    void this.load();
    let due = 0;
    const soon = () => {
      clearTimeout(due);
      due = setTimeout(() => this.load(), 800);
    };
    for (const kind of ["leads_changed", "stage_finished", "gap"]) this.hears(live, kind, soon);
  }

  get open() {
    return this.second?.hidden === false;
  }

  toggle() {
    if (!this.second) return;
    this.second.hidden = !this.second.hidden;
    keep("plots", this.second.hidden ? null : "open");
  }

  async load() {
    try {
      /** @type {Summary} */
      const summary = await get("/leads/summary", {}, this.signal);
      this.first?.removeAttribute("aria-busy");
      this.first?.replaceChildren(...figures(summary));
      this.second?.replaceChildren(...plots(summary));
    } catch (error) {
      if (movedOn(error) || !this.first?.hasAttribute("aria-busy")) return;
      this.first.replaceChildren(
        h("div", { class: "tile" }, h("span", { class: "name" }, t("tiles.failed")), h("button", { class: "link", type: "button", onclick: () => this.load() }, t("retry"))),
      );
    }
  }
}

function bones() {
  return Array.from({ length: 5 }, (_, at) =>
    h("div", { class: at === 4 ? "tile plot" : "tile" }, h("span", { class: "name" }, h("span", { class: "bone" })), h("span", { class: "value" }, h("span", { class: "bone short" }))),
  );
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} href
 * @param {string} [note]
 * @param {string} [tone]
 */
function tile(name, value, href, note = "", tone = "muted") {
  return h(
    "a",
    { class: "tile", href },
    h("span", { class: "name" }, name),
    h("span", { class: "value" }, value),
    note ? h("span", { class: `note ${tone}` }, note) : null,
  );
}

/** @param {Summary} summary */
function figures(summary) {
  const { expiring, new_top: top, open_co_sell: sums, crm_decisions: decisions } = summary;
  const largest = [...sums].sort((a, b) => b.count - a.count)[0];
  const rest = sums.length - 1;
  const decide = decisions.conflict > decisions.rejected ? "conflicts" : "rejects";
  return [
    tile(
      t("tile.expiring"),
      number(expiring.soon),
      address("referrals", null, { expiring_days: String(expiring.days), sort: "expires_at", order: "asc" }),
      expiring.today > 0 ? t("tile.today", { n: expiring.today }) : "",
      "warn",
    ),
    tile(t("tile.new_top"), number(top.count), address("leads", null, { priority: "P1,P2", age_days: String(top.days) })),
    tile(
      t("tile.co_sell"),
      largest ? money(largest.value, largest.currency, true) : "–",
      address("leads", null, { referral_category: "co_sell", referral_status: "New,Active", sort: "deal_value", order: "desc" }),
      rest > 0 ? t("tile.currencies", { n: rest }) : "",
    ),
    tile(t("tile.decisions"), number(decisions.total), address("crm", null, { tab: decide })),
    barPlot(t("plot.priority"), byPriority(summary)),
  ];
}

/** @param {Summary} summary */
function byPriority(summary) {
  const counts = new Map(summary.by_priority.map((one) => [one.value, one.count]));
  return PRIORITIES.map((priority) => {
    const count = counts.get(priority) ?? 0;
    return {
      label: priority,
      count,
      said: t("plot.said", { name: `${priority}, ${word(`priority.${priority}`, "")}`, n: count }),
      href: address("leads", null, { priority }),
      quiet: priority > "P4",
    };
  });
}

/** @param {Summary} summary */
function plots(summary) {
  const segments = new Map(summary.by_segment.map((one) => [one.value, one.count]));
  return [
    barPlot(
      t("plot.segment"),
      SEGMENTS.map((value) => ({
        label: word(`segment.${value}.short`, value),
        count: segments.get(value) ?? 0,
        said: t("plot.said", { name: words.segment(value), n: segments.get(value) ?? 0 }),
        href: address("leads", null, { segment: value }),
      })),
    ),
    funnelPlot(
      t("plot.funnel"),
      // Referrals are written to Dynamics before anybody accepts them, so that step stands first.
      FUNNEL_ORDER.flatMap((name) => summary.funnel.filter((one) => one.stage === name)).map(({ stage, count }) => ({
        label: word(`funnel.${stage}`, stage),
        count,
        said: "",
        href: FUNNEL[stage] ?? "/referrals",
      })),
    ),
    barPlot(
      t("plot.scores"),
      summary.score_histogram.map((band) => ({
        label: String(band.from),
        count: band.count,
        said: t("plot.said", { name: `${t("column.score")} ${band.from}–${band.to}`, n: band.count }),
        href: address("leads", null, { score_min: String(band.from), score_max: String(band.to), sort: "score", order: "desc" }),
      })),
      { every: 2 },
    ),
    barPlot(
      t("plot.syncs"),
      summary.syncs.map((one) => ({
        label: day(one.day),
        count: one.succeeded,
        bad: one.failed,
        said: t("plot.sync_said", { day: day(one.day), ok: one.succeeded, failed: one.failed }),
        href: "/runs",
      })),
      { every: 5 },
    ),
  ];
}

const FUNNEL_ORDER = ["referrals", "linked", "pushed", "accepted", "won"];

/** @type {Record<string, string>} */
const FUNNEL = {
  referrals: "/referrals",
  linked: "/referrals?link=linked",
  accepted: "/referrals?stage=accepted",
  pushed: "/referrals?stage=pushed",
  won: "/referrals?stage=won",
};

customElements.define("hunter-tiles", Tiles);
export { Tiles };
