// Fields and values of Dynamics as people read them: names for logical names, words for choices, no bare ids.
import { h } from "../dom.js";
import { country, dateTime, number } from "../format.js";
import { t, word } from "../i18n.js";
import * as words from "../words.js";
import { changesTable, shown } from "./pieces.js";

/** @typedef {import("../api-types").CrmRecord} CrmRecord */

/** Choices of Hunter's own columns are numbered from here, in the order in which set-up creates them. */
const OWN_CHOICE = 816940000;
const HEAT = ["Hot", "Warm", "Cold"];

const heat = /** @param {string} value */ (value) => word(`heat.${value}`, value);
const rating = /** @param {unknown} value */ (value) => choiceOf(["", ...HEAT], value, heat);

/**
 * @param {string[]} choices
 * @param {unknown} value its place among them
 * @param {(choice: string) => string} [said]
 */
function choiceOf(choices, value, said = (choice) => choice) {
  const choice = typeof value === "number" ? choices[value] : undefined;
  return choice ? said(choice) : undefined;
}

/** @param {string[]} choices @param {(choice: string) => string} [said] */
const own = (choices, said) => /** @param {unknown} value */ (value) => choiceOf(choices, Number(value) - OWN_CHOICE, said);

/** @type {Record<string, (value: any) => string | undefined>} */
const VALUES = {
  hnt_prioritycategory: own(["P1", "P2", "P3", "P4", "P5", "P6"]),
  hnt_segment: own(["Migration", "Existing", "Cold", "Skip"], words.technicalSegment),
  hnt_technicalheat: own(HEAT, heat),
  hnt_commercialheat: own(HEAT, heat),
  hnt_commercialsegment: words.segment,
  hnt_provider: words.provider,
  hnt_referraltype: words.category,
  hnt_source: words.source,
  leadqualitycode: rating,
  opportunityratingcode: rating,
  salesstage: (value) => choiceOf(["Qualify", "Develop", "Propose", "Close"], value),
  leadsourcecode: (value) => choiceOf(["", "Advertisement", "Employee Referral", "External Referral", "Partner", "Public Relations", "Seminar", "Trade Show", "Web", "Word of Mouth", "Other"], value),
  address1_country: country,
  estimatedvalue: number,
};

const LONG = 160;

/** @param {string} name */
export const crmField = (name) => word(`crm_field.${name}`, name);

/**
 * @param {string} name of the field
 * @param {unknown} value
 * @returns {import("../dom.js").Child}
 */
export function crmValue(name, value) {
  if (value === null || value === undefined || value === "") return shown(value);
  const said = VALUES[name]?.(value);
  if (said !== undefined) return said;
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (typeof value !== "string") return shown(value);
  if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/i.test(value)) return h("span", { class: "mono", title: value }, `${value.slice(0, 8)}…`);
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return dateTime(value);
  if (value.length > LONG) return h("details", { class: "fold" }, h("summary", null, `${value.slice(0, 60)}…`), h("p", { class: "as-written" }, value));
  return value;
}

/**
 * Old → new per field of a record in Dynamics.
 * @param {unknown} fields
 * @param {string[]} [heads]
 */
export function crmChanges(fields, heads) {
  /** @type {[string, import("../dom.js").Child[]][]} */
  const rows = Object.entries(/** @type {Record<string, unknown[]>} */ (fields)).map(([name, values]) => [crmField(name), values.map((value) => crmValue(name, value))]);
  return changesTable(rows, heads);
}

const NAMED = 3;

/** The fields that were written, the first few by name. @param {unknown} fields */
export function fieldNames(fields) {
  const names = fields && typeof fields === "object" ? Object.keys(fields).map(crmField) : [];
  const first = names.slice(0, NAMED).join(", ");
  return names.length > NAMED ? t("changes.fields", { names: first, n: names.length - NAMED }) : first;
}

/**
 * What is wrong with a record, in the reader's language where the code is Hunter's own.
 * @param {Pick<CrmRecord, "error" | "error_code" | "candidates" | "table">} record
 */
export function crmError(record) {
  if (Array.isArray(record.candidates)) return t("conflict.what", { n: record.candidates.length, table: words.table(record.table) });
  return record.error_code ? word(`crm_error.${record.error_code}`, record.error ?? "") : (record.error ?? "");
}

/** Why a push leaves a record alone. @param {string} reason */
export const crmReason = (reason) => word(`reason.${reason}`, word(`crm_error.${reason}`, word(`crm_fix.${reason}`, reason)));
