// Codes of the services as words, and the small parts every list shows them with.
import { h, s } from "./dom.js";
import { clock, day, daysUntil, money, number } from "./format.js";
import { t, word } from "./i18n.js";

/** @typedef {import("./api-types").Lead} Lead */
/** @typedef {import("./api-types").Referral} Referral */

/** @param {string | null | undefined} value */
export const segment = (value) => (value ? word(`segment.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const technicalSegment = (value) => (value ? word(`technical.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const provider = (value) => (value ? word(`provider.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const category = (value) => (value ? word(`category.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const source = (value) => (value ? word(`source.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const stage = (value) => (value ? word(`stage.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const runState = (value) => (value ? word(`run_state.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const dynamicsState = (value) => (value ? word(`dynamics.${value}`, value) : "");
/** @param {string | null | undefined} value */
export const table = (value) => (value ? word(`table.${value}`, value) : "");

/**
 * What a scan found before or since, in words; `null` for nothing.
 * @param {string} kind of the change
 * @param {string | null} value
 */
export function scanned(kind, value) {
  if (!value) return t("finding.absent");
  if (kind === "provider") return provider(value);
  if (kind === "dmarc") return word(`policy.${value}`, word(`dmarc.${value}`, value));
  // SPF comes as its state and, where there is a record, how it ends: "found ~all".
  const [state = "", ...rest] = kind === "spf" || kind === "dkim" ? value.split(" ") : [value];
  return [word(`${kind}.${state}`, word(`finding.${state}`, state)), ...rest].join(" ");
}

/**
 * Who asked for something: a person by name, without the part of an id that tells two of a name apart in the trail;
 * Hunter's own hands in words.
 * @param {string | null | undefined} name
 */
export function who(name) {
  if (!name) return "";
  if (/_(daily|hourly|every_\d+_minutes)$/.test(name)) return t("who.schedule");
  return word(`who.${name}`, name.replace(/ \([0-9a-f]{8}\)$/, ""));
}

/**
 * @param {string | null | undefined} status
 * @param {string | null | undefined} [substatus]
 */
export function referralStatus(status, substatus) {
  if (!status) return "";
  return substatus ? word(`substatus.${substatus}`, substatus) : word(`status.${status}`, status);
}

/** @type {Record<string, string>} */
export const TONES = {
  synced: "good",
  rejected: "bad",
  conflict: "warn",
  deferred: "muted",
  deleted_in_crm: "warn",
  pending: "muted",
  in_progress: "muted",
  not_pushed: "muted",
  skipped: "muted",
  succeeded: "good",
  failed: "bad",
  done: "good",
  cancelled: "muted",
};

/**
 * @param {string | null} priority
 * @param {boolean} [named] with its meaning for screen readers, where no text beside it says so
 */
export function badge(priority, named = true) {
  const meaning = priority ? word(`priority.${priority}`, priority) : t("priority.none");
  return h(
    "span",
    { class: `badge ${priority ? priority.toLowerCase() : "none"}`, title: meaning },
    priority ?? "–",
    named ? h("span", { class: "unseen" }, ` ${meaning}`) : null,
  );
}

/**
 * @param {number | null} score
 * @param {boolean} [complete]
 */
export function scoreBar(score, complete = true) {
  if (score === null) return h("span", { class: "muted" }, t("not_scored"));
  return h(
    "span",
    { class: "score", title: complete ? null : t("score.incomplete") },
    h("span", { class: "figure" }, number(score), complete ? null : h("span", { class: "unseen" }, ` (${t("score.incomplete")})`)),
    bar(score / 100),
  );
}

/**
 * A decorative bar; the figure beside it is the text.
 * @param {number} share 0..1
 * @param {number} [failed] 0..1, after it
 */
export function bar(share, failed = 0) {
  return s(
    "svg",
    { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { class: "track", width: 100, height: 8, rx: 4 }),
    s("rect", { class: "fill", width: Math.max(0, Math.min(100, share * 100)), height: 8, rx: 4 }),
    failed > 0 ? s("rect", { class: "fill bad", x: share * 100, width: failed * 100, height: 8 }) : null,
  );
}

/**
 * Two lines of one cell.
 * @param {import("./dom.js").Child} first
 * @param {import("./dom.js").Child} second
 * @param {string} [tone]
 */
export function twoLines(first, second, tone = "") {
  return h(
    "div",
    { class: "two" },
    h("span", { class: "main-line plain" }, first),
    second ? h("span", { class: `sub-line ${tone}` }, second) : null,
  );
}

/**
 * @param {number} days
 */
export function daysLeft(days) {
  if (days < 0) return t("expired");
  return days === 0 ? t("expires_today") : t("days_left", { n: days });
}

/** @param {number} days */
export const urgency = (days) => (days <= 2 ? "bad" : days <= 5 ? "warn" : "");

/** @param {Pick<Lead, "provider" | "gateway" | "hoster" | "complete" | "score">} lead */
export function mailProvider(lead) {
  if (lead.provider === "Unknown") {
    return lead.score === null ? t("not_scanned") : lead.complete ? t("provider.Unknown") : t("provider.failed");
  }
  const holder = lead.provider === "Hosting" && lead.hoster ? lead.hoster : provider(lead.provider);
  return lead.gateway ? t("provider.behind", { provider: holder, gateway: lead.gateway }) : holder;
}

/** @param {Lead} lead */
export function leadReferral(lead) {
  if (!lead.referral_category) return h("span", { class: "muted" }, "–");
  if (lead.expires_at) {
    const days = daysUntil(lead.expires_at);
    return twoLines(category(lead.referral_category), daysLeft(days), urgency(days));
  }
  return twoLines(category(lead.referral_category), referralStatus(lead.referral_status, lead.referral_substatus));
}

/**
 * The state of a company in Dynamics in words: what holds it up, or when it goes on.
 * @param {string} state
 * @param {string | null | undefined} detail
 */
export function dynamicsWords(state, detail) {
  const said = dynamicsState(state);
  if (!detail || !["rejected", "conflict"].includes(state)) return said;
  const found = state === "conflict" ? Number.parseInt(detail, 10) : Number.NaN;
  const why = Number.isNaN(found) ? problemOf(detail) : t("dynamics.candidates", { n: found });
  return t("with_detail", { what: said, detail: why.length > 60 ? `${why.slice(0, 57)}…` : why });
}

/**
 * A missing value in words; what Dynamics itself says stays as it is.
 * @param {string} error
 */
function problemOf(error) {
  const missing = /^\w+\.(\w+) needs a value and Hunter has none\.?$/.exec(error);
  return missing?.[1] ? t("crm_error.missing", { field: word(`crm_field.${missing[1]}`, missing[1]) }) : error;
}

/** @param {{state: string, next_attempt_at: string | null, error: string | null}} record */
export function recordWords(record) {
  if (record.state === "deferred" && record.next_attempt_at) {
    return t("dynamics.retry_at", { time: clock(record.next_attempt_at) });
  }
  return dynamicsState(record.state);
}

/**
 * @param {{deal_value: number | null, currency: string | null}} of
 */
export const deal = (of) => (of.deal_value === null ? "" : money(of.deal_value, of.currency));

/** @param {Referral} referral */
export function referralWords(referral) {
  const status = referralStatus(referral.status, referral.substatus);
  if (referral.status === "New" && referral.days_left !== null) return `${status}, ${daysLeft(referral.days_left)}`;
  return `${status}, ${day(referral.updated_at)}`;
}
