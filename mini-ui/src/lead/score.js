// Why this score: every point a row with its evidence behind a click; below, what would change it.
import { change, get, movedOn } from "../api.js";
import { h } from "../dom.js";
import { dateTime, number } from "../format.js";
import { either, t, word } from "../i18n.js";
import { plain } from "../overlays.js";
import * as words from "../words.js";
import { section } from "./pieces.js";
import { evidenceList, evidenceOf } from "./scan.js";

/** @typedef {import("../api-types").LeadDetail} LeadDetail */
/** @typedef {{score: [number, number], categories: string[]}} Range */
/** @typedef {{rule: string, points: number, state: string, text: {en: string, tr: string}, could_change: Range | null}} Point */
/** @typedef {{score: number, priority_category?: string, priority?: string, commercial_segment: string}} Outcome */

/**
 * @param {LeadDetail} detail
 * @param {AbortSignal} signal
 */
export function scoreSection(detail, signal) {
  const { score, scan, lead } = detail;
  if (!score) return section(t("section.why"), null, h("p", { class: "muted" }, scan ? t("score.none") : t("score.not_scanned")));
  const points = /** @type {Point[]} */ (Array.isArray(score.breakdown) ? score.breakdown : []);
  return section(
    t("section.why"),
    null,
    h(
      "div",
      { class: "big-score" },
      h("span", { class: "figure" }, number(score.score)),
      h(
        "span",
        { class: "words" },
        `${score.priority} ${word(`priority.${score.priority}`, score.priority_label)}`,
        h("br"),
        `${words.segment(score.commercial_segment)} · ${t("heat", { technical: word(`heat.${score.technical_heat}`, score.technical_heat), commercial: word(`heat.${score.commercial_heat}`, score.commercial_heat) })}`,
      ),
    ),
    score.complete ? null : h("p", { class: "warn small" }, incomplete(/** @type {Range | null} */ (score.reach))),
    h("ul", { class: "points" }, points.map((point) => h("li", null, pointRow(point, detail)))),
    h("p", { class: "muted small" }, t("score.rules", { version: score.rules_version.split("+")[0] ?? "", at: dateTime(score.scored_at) })),
    whatIf(lead.domain, detail, signal),
    moves(lead.domain, signal),
  );
}

/** What all answers together could make of the score. @param {Range | null} reach */
function incomplete(reach) {
  if (!reach) return t("score.incomplete.open");
  const [least, most] = reach.score;
  return least === most ? t("score.incomplete.same") : t("score.incomplete", rangeOf(reach));
}

/** @param {Range} range */
function rangeOf({ score: [from, to], categories }) {
  return { from, to, categories: categories.join(", ") };
}

/**
 * @param {Point} point
 * @param {LeadDetail} detail
 */
function pointRow(point, detail) {
  const unknown = point.state === "unknown";
  const sign = point.points > 0 ? `+${number(point.points)}` : point.points < 0 ? `−${number(-point.points)}` : "0";
  const tone = point.rule === "provider" ? "" : point.points > 0 ? "good" : point.points < 0 ? "bad" : "";
  const could = point.could_change;
  const range = could && could.score[0] !== could.score[1] ? t("score.could_be", rangeOf(could)) : could ? t("score.could_be.same") : "";
  return h(
    "details",
    { class: "point", "data-name": `point ${point.rule}` },
    h(
      "summary",
      null,
      h("span", null, either(point.text)),
      h("span", { class: `points-figure ${unknown ? "" : tone}` }, unknown ? t("unknown") : sign),
    ),
    h(
      "div",
      { class: "proof" },
      h("p", null, word(`rule.${point.rule}`, "") || either(point.text)),
      range ? h("p", { class: "muted" }, range) : null,
      proofOf(point, detail),
    ),
  );
}

/**
 * @param {Point} point
 * @param {LeadDetail} detail
 */
function proofOf(point, detail) {
  const evidence = evidenceOf(detail.scan);
  const tenant = detail.company?.tenant_id ?? detail.scan?.tenant_id;
  const stated = tenant ? h("p", { class: "mono" }, tenant, detail.company?.tenant_source ? ` · ${words.source(detail.company.tenant_source)}` : "") : null;
  if (point.rule === "open_co_sell") {
    return h("ul", null, detail.referrals.filter((one) => one.is_open && one.category === "co_sell").map((one) => h("li", null, `${one.name || words.category(one.category)} · ${words.referralWords(one)}`)));
  }
  if (point.rule === "known_tenant") return stated;
  /** @type {Record<string, (one: import("./scan.js").Evidence) => unknown>} */
  const belongs = {
    provider: (one) => one.type === "MX" || (one.type === "TXT" && one.records?.some((text) => /v=spf1/i.test(String(text)))),
    no_mail: (one) => one.type === "MX",
    mx: (one) => one.type === "MX",
    spf: (one) => one.type === "TXT" && !one.name.startsWith("_") && !one.name.includes("._domainkey."),
    many_spf_includes: (one) => one.type === "TXT" && !one.name.startsWith("_") && !one.name.includes("._domainkey."),
    dkim: (one) => one.name.includes("._domainkey."),
    dmarc: (one) => one.name.startsWith("_dmarc."),
    unprotected_hosting: (one) => one.name.includes("._domainkey.") || (one.type === "TXT" && !one.name.startsWith("_")),
  };
  const wanted = belongs[point.rule];
  if (!wanted) return null;
  const found = evidence.filter(wanted);
  const telling = point.rule === "dkim" && found.some((one) => one.records?.length) ? found.filter((one) => one.records?.length) : found;
  const list = evidenceList(telling.slice(0, 12));
  // The tenant makes a Microsoft customer whatever the mail servers say: both are shown.
  const inputs = /** @type {Record<string, unknown>} */ (detail.score?.inputs ?? {});
  return point.rule === "provider" && inputs.tenant_known && inputs.provider !== detail.score?.provider ? [stated, list] : list;
}

/** @type {[string, string[]][]} */
const QUESTIONS = [
  ["provider", ["M365", "Google", "Yandex", "Zoho", "Hosting", "Local"]],
  ["spf", ["true", "false"]],
  ["dkim", ["true", "false"]],
  ["dmarc", ["reject", "quarantine", "none", "absent"]],
  ["tenant_known", ["true", "false"]],
  ["co_sell", ["true", "false"]],
];

/**
 * @param {string} domain
 * @param {LeadDetail} detail
 * @param {AbortSignal} signal
 */
function whatIf(domain, detail, signal) {
  const result = h("p", { role: "status" });
  const inputs = /** @type {Record<string, unknown>} */ (detail.score?.inputs ?? {});
  const label = /** @param {string} name @param {string} value */ (name, value) =>
    name === "provider" ? words.provider(value) : name === "dmarc" ? word(`dmarc.${value}`, value) : value === "true" ? t("yes") : t("no");
  const ask = async () => {
    /** @type {Record<string, string | boolean>} */
    const asked = {};
    for (const select of fields.querySelectorAll("select")) {
      if (select.value) asked[select.name] = ["true", "false"].includes(select.value) ? select.value === "true" : select.value;
    }
    if (Object.keys(asked).length === 0) {
      result.replaceChildren(h("span", { class: "muted" }, t("what_if.hint")));
      return;
    }
    try {
      /** @type {{now: Outcome, then: Outcome, difference: number}} */
      const answer = await change("POST", `/leads/${encodeURIComponent(domain)}/what-if`, asked, { signal });
      const { then, difference } = answer;
      const sign = difference > 0 ? `+${difference}` : difference < 0 ? `−${-difference}` : "±0";
      const priority = then.priority ?? then.priority_category ?? "";
      result.replaceChildren(
        t("what_if.result", { score: then.score, difference: sign, priority: `${priority} ${word(`priority.${priority}`, "")}` }),
      );
    } catch (error) {
      if (!movedOn(error)) result.replaceChildren(h("span", { class: "bad" }, plain(error)));
    }
  };
  const fields = h(
    "div",
    { class: "what-if" },
    QUESTIONS.map(([name, values]) => {
      const now = inputs[name];
      const said = now === null || now === undefined ? t("unknown") : label(name, String(now));
      const select = h("select", { name, onchange: ask }, h("option", { value: "" }, t("what_if.now", { value: said })), values.filter((value) => value !== String(now)).map((value) => h("option", { value }, label(name, value))));
      return h("label", { class: "field" }, h("span", { class: "label" }, t(/** @type {import("../i18n.js").TextKey} */ (`what_if.${name}`))), select);
    }),
  );
  result.append(h("span", { class: "muted" }, t("what_if.hint")));
  return h("details", { class: "fold", "data-name": "what-if" }, h("summary", null, t("what_if")), fields, result);
}

/**
 * What would move this lead, asked for when it is opened.
 * @param {string} domain
 * @param {AbortSignal} signal
 */
function moves(domain, signal) {
  const box = h("div", { class: "stack" });
  const fold = h("details", { class: "fold", "data-name": "moves" }, h("summary", null, t("moves")), box);
  fold.addEventListener("toggle", async () => {
    if (!fold.open || box.childElementCount > 0) return;
    box.replaceChildren(h("p", { class: "muted" }, t("loading")));
    try {
      /** @type {{items: {score: number, difference: number, priority: string, text: {en: string, tr: string}}[]}} */
      const { items } = await get(`/leads/${encodeURIComponent(domain)}/moves`, {}, signal);
      box.replaceChildren(
        items.length === 0
          ? h("p", { class: "muted" }, t("moves.none"))
          : h(
              "ul",
              { class: "moves" },
              items.map((one) =>
                h("li", { class: "line-pair" }, h("span", null, either(one.text)), h("span", { class: "number" }, `${one.difference > 0 ? "+" : one.difference < 0 ? "−" : ""}${Math.abs(one.difference)} → ${one.score}, ${one.priority}`)),
              ),
            ),
      );
    } catch (error) {
      if (!movedOn(error)) box.replaceChildren(h("p", { class: "bad" }, plain(error)));
    }
  });
  return fold;
}
