// What the domain tells: findings in words, the records behind them, and what is unknown with a way to ask again.
import { h } from "../dom.js";
import { country, dateTime, duration, moment, number } from "../format.js";
import { t, word } from "../i18n.js";
import { may } from "../status.js";
import * as words from "../words.js";
import { changesTable, deedButton, section, shown } from "./pieces.js";

/** @typedef {import("../api-types").LeadDetail} LeadDetail */
/** @typedef {{name: string, type: string, state: string, reason?: string | null, records?: unknown[], ttl?: number | null, resolver?: string | null, at?: string | number | null}} Evidence */

/**
 * The answers a scan kept.
 * @param {{findings: unknown} | null} scan
 * @returns {Evidence[]}
 */
export function evidenceOf(scan) {
  const found = /** @type {{evidence?: unknown} | null | undefined} */ (scan?.findings)?.evidence;
  return Array.isArray(found) ? found : [];
}

/** A scan keeps the moment of an answer in seconds since 1970. @param {string | number} at */
const askedAt = (at) => (typeof at === "number" ? new Date(at * 1000).toISOString() : at);

/** @param {Evidence[]} evidence */
export function evidenceList(evidence) {
  if (evidence.length === 0) return h("p", { class: "muted" }, t("evidence.none"));
  return h(
    "ul",
    { class: "stack" },
    evidence.map((one) => {
      const records = one.records ?? [];
      const about = [one.ttl ? t("evidence.ttl", { time: duration(one.ttl) }) : "", one.resolver ? t("evidence.resolver", { name: one.resolver }) : "", one.at ? dateTime(askedAt(one.at)) : ""].filter(Boolean).join(" · ");
      return h(
        "li",
        null,
        h("p", { class: "mono" }, `${one.type} ${one.name}`),
        records.length > 0
          ? h("ul", null, records.map((record) => h("li", { class: "mono strong" }, shown(record))))
          : h("p", { class: one.state === "unknown" ? "warn" : "muted" }, word(`evidence.${one.state}`, one.state), one.reason ? ` (${one.reason})` : ""),
        about ? h("p", { class: "muted" }, about) : null,
      );
    }),
  );
}

/**
 * A fact as it is read: states and countries in words, days as days.
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
function factWords(name, value) {
  if (Array.isArray(value)) return value.map((one) => factWords(name, one)).join(", ");
  const text = shown(value);
  if (name === "country") return country(text);
  if (/^\d{4}-\d\d-\d\dT/.test(text)) return dateTime(text);
  return word(`finding.${text}`, text);
}

/**
 * @param {LeadDetail} detail
 * @param {() => Promise<unknown>} rescan
 */
export function scanSection(detail, rescan) {
  const { scan } = detail;
  const again = may("act") ? deedButton(t("rescan"), rescan, () => undefined, "link small") : null;
  if (!scan) return section(t("section.evidence"), again, h("p", { class: "muted" }, t("not_scanned")));
  const state = /** @param {string} value */ (value) =>
    h("span", { class: value === "unknown" ? "warn" : null }, word(`finding.${value}`, value));
  const rows = /** @type {[string, import("../dom.js").Children][]} */ ([
    [t("finding.provider"), words.mailProvider({ provider: scan.provider, gateway: scan.gateway, hoster: scan.hoster, complete: scan.complete, score: 0 })],
    [t("finding.hoster"), scan.hoster],
    ["MX", state(scan.mx_state)],
    ["SPF", [state(scan.spf_state), scan.spf_all ? ` · ${scan.spf_all}` : "", scan.spf_includes ? ` · ${t("finding.includes", { n: scan.spf_includes })}` : ""]],
    ["DKIM", scan.dkim_found === null ? state("unknown") : state(scan.dkim_found ? "found" : "absent")],
    ["DMARC", [state(scan.dmarc_state), scan.dmarc_policy ? ` · ${word(`dmarc.${scan.dmarc_policy}`, scan.dmarc_policy)}` : ""]],
    [t("finding.tenant"), scan.tenant_name ?? scan.tenant_id],
  ]);
  const evidence = evidenceOf(scan);
  const slow = Object.entries(scan.details ?? {});
  return section(
    t("section.evidence"),
    again,
    h("dl", { class: "pairs" }, rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)])),
    scan.complete ? null : h("p", { class: "row-of" }, h("span", { class: "warn" }, t("scan.incomplete")), may("act") ? deedButton(t("retry"), rescan, () => undefined) : null),
    h("p", { class: "muted small" }, t("scan.when"), " ", moment(scan.scanned_at, dateTime), ` · ${t("scan.cost", { n: number(scan.lookups), time: duration(scan.seconds) })}`),
    slow.length > 0
      ? h(
          "details",
          { class: "fold", "data-name": "slow" },
          h("summary", null, t("scan.more")),
          slow.map(([kind, finding]) =>
            h(
              "div",
              { class: "item" },
              h("p", { class: "line-pair" }, h("span", { class: "strong" }, word(`detail.${kind}`, kind)), state(finding.state)),
              finding.facts && typeof finding.facts === "object"
                ? h("dl", { class: "pairs small" }, Object.entries(finding.facts).filter(([, value]) => value !== null && value !== "").flatMap(([name, value]) => [h("dt", null, word(`fact.${name}`, name.replaceAll("_", " "))), h("dd", null, factWords(name, value))]))
                : null,
            ),
          ),
        )
      : null,
    evidence.length > 0 ? h("details", { class: "fold", "data-name": "records" }, h("summary", null, t("scan.records", { n: evidence.length })), h("div", { class: "proof" }, evidenceList(evidence))) : null,
    detail.scan_changes.length > 0
      ? h(
          "details",
          { class: "fold", "data-name": "scan-changes" },
          h("summary", null, t("scan.changes", { n: detail.scan_changes.length })),
          changesTable(detail.scan_changes.map((one) => [`${word(`scan_change.${one.kind}`, one.kind)}, ${dateTime(one.at)}`, [words.scanned(one.kind, one.old), words.scanned(one.kind, one.new)]])),
        )
      : null,
  );
}
