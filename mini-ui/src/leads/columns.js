// Columns of the leads table; which are shown, and how densely, is this browser's memory.
import { h } from "../dom.js";
import { companySize, country, day, moment, number } from "../format.js";
import { t } from "../i18n.js";
import { keep, kept } from "../kept.js";
import { address } from "../router.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").Lead} Lead */
/** @typedef {import("../parts/list.js").Column<Lead>} LeadColumn */

const USUAL = ["priority", "company", "score", "segment", "provider", "referral", "dynamics", "changed"];

/** @returns {LeadColumn[]} */
export function allColumns() {
  return [
    { key: "priority", label: t("column.priority"), sort: "priority", cell: (lead) => words.badge(lead.priority) },
    { key: "company", label: t("column.company"), sort: "name", class: "lead-cell", cell: company },
    { key: "score", label: t("column.score"), sort: "score", down: true, cell: (lead) => words.scoreBar(lead.score, lead.complete) },
    { key: "segment", label: t("column.segment"), sort: "segment", class: "d1", cell: (lead) => words.segment(lead.commercial_segment) },
    { key: "provider", label: t("column.provider"), sort: "provider", class: "d1", cell: (lead) => words.mailProvider(lead) },
    { key: "referral", label: t("column.referral"), sort: "expires_at", class: "d2", cell: (lead) => words.leadReferral(lead) },
    { key: "deal", label: t("column.deal"), sort: "deal_value", down: true, end: true, class: "d3", cell: (lead) => words.deal(lead) },
    {
      key: "dynamics",
      label: t("column.dynamics"),
      sort: "dynamics_state",
      class: "d3",
      cell: (lead) =>
        h("span", { class: words.TONES[lead.dynamics_state] ?? null }, words.dynamicsWords(lead.dynamics_state, lead.dynamics_detail)),
    },
    { key: "country", label: t("column.country"), sort: "country", class: "d4", cell: (lead) => country(lead.country) },
    { key: "size", label: t("column.size"), class: "d4", cell: (lead) => companySize(lead.size) },
    { key: "technical", label: t("column.technical"), sort: "technical_segment", class: "d4", cell: (lead) => words.technicalSegment(lead.segment) },
    { key: "source", label: t("column.source"), sort: "source", class: "d4", cell: (lead) => words.source(lead.source) },
    { key: "referrals", label: t("column.referrals"), end: true, class: "d4", cell: (lead) => number(lead.referral_count) },
    { key: "first_seen", label: t("column.first_seen"), sort: "first_seen_at", down: true, class: "d4", cell: (lead) => moment(lead.first_seen_at, day) },
    { key: "changed", label: t("column.changed"), sort: "changed_at", down: true, class: "d4", cell: (lead) => moment(lead.changed_at) },
    { key: "phone", label: t("summary"), quiet: true, cell: phoneLine },
  ];
}

/** Columns named as the export names them. */
export const EXPORTED = /** @type {Record<string, string[]>} */ ({
  priority: ["priority"],
  company: ["name", "domain"],
  score: ["score"],
  segment: ["commercial_segment"],
  provider: ["provider", "gateway"],
  referral: ["referral_category", "referral_status", "expires_at"],
  deal: ["deal_value", "currency"],
  dynamics: ["dynamics_state", "dynamics_detail"],
  country: ["country"],
  size: ["size"],
  technical: ["segment"],
  source: ["source"],
  referrals: ["referral_count"],
  first_seen: ["first_seen_at"],
  changed: ["changed_at"],
});

/** @param {Lead} lead */
function company(lead) {
  // The address carries the filters, so that closing the lead finds the same list.
  const params = new URLSearchParams(location.search);
  return h(
    "div",
    { class: "two" },
    h("a", { class: "main-line", href: address("leads", lead.domain, params), "data-opens": true }, lead.name),
    h("span", { class: "sub-line" }, lead.domain_shown),
  );
}

/** @param {Lead} lead */
function phoneLine(lead) {
  const parts = [words.segment(lead.commercial_segment)];
  const referral = lead.referral_category ? words.leadReferral(lead) : null;
  if (referral) parts.push([...referral.children].map((line) => line.textContent).join(", "));
  if (["rejected", "conflict"].includes(lead.dynamics_state)) parts.push(words.dynamicsState(lead.dynamics_state));
  return parts.filter(Boolean).join(" · ");
}

/** @returns {string[]} */
export function chosenColumns() {
  const known = new Set(allColumns().map((column) => column.key));
  const chosen = (kept("columns") ?? "").split(",").filter((key) => known.has(key));
  return chosen.length > 0 ? chosen : USUAL;
}

/** @param {string[] | null} keys `null` for the usual ones */
export const chooseColumns = (keys) => keep("columns", keys === null ? null : keys.join(","));

export function shownColumns() {
  const chosen = new Set([...chosenColumns(), "company", "phone"]);
  return allColumns().filter((column) => chosen.has(column.key));
}
