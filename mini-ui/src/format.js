// Numbers, money, dates and places as people write them.
import { language, locale, t } from "./i18n.js";
import { h } from "./dom.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** @param {number} value */
export const number = (value) => value.toLocaleString(locale());

/**
 * @param {number | null | undefined} value
 * @param {string | null | undefined} currency ISO 4217
 * @param {boolean} [short]
 */
export function money(value, currency, short = false) {
  if (value === null || value === undefined) return "";
  /** @type {Intl.NumberFormatOptions} */
  const options = short
    ? { notation: "compact", maximumSignificantDigits: 3 }
    : { minimumFractionDigits: Number.isInteger(value) ? 0 : 2, maximumFractionDigits: Number.isInteger(value) ? 0 : 2 };
  if (currency && /^[A-Z]{3}$/.test(currency)) {
    return value.toLocaleString(locale(), { style: "currency", currency, ...options });
  }
  return `${value.toLocaleString(locale(), options)} ${currency ?? ""}`.trim();
}

/** @param {string} iso */
export const dateTime = (iso) => new Date(iso).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });
/** @param {string} iso */
export const day = (iso) => {
  const date = new Date(iso);
  /** @type {Intl.DateTimeFormatOptions} */
  const shape = { day: "numeric", month: "short" };
  if (date.getFullYear() !== new Date().getFullYear()) shape.year = "numeric";
  return date.toLocaleDateString(locale(), shape);
};
/** @param {string} iso */
export const weekDay = (iso) =>
  new Date(iso).toLocaleDateString(locale(), { weekday: "long", day: "numeric", month: "short" });
/** @param {string} iso */
export const clock = (iso) => new Date(iso).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit" });

/**
 * How long ago, in a few letters: 4 min, 1 h, Yesterday, Mon, 12 Nov.
 * @param {string} iso
 */
export function ago(iso) {
  const then = new Date(iso);
  const seconds = (Date.now() - then.getTime()) / 1000;
  if (seconds < MINUTE) return t("time.now");
  if (seconds < HOUR) return t("time.minutes", { n: Math.floor(seconds / MINUTE) });
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  if (then >= midnight) return t("time.hours", { n: Math.floor(seconds / HOUR) });
  if (then.getTime() >= midnight.getTime() - DAY * 1000) return t("time.yesterday");
  if (then.getTime() >= midnight.getTime() - 6 * DAY * 1000) {
    return then.toLocaleDateString(locale(), { weekday: "short" });
  }
  return day(iso);
}

/**
 * How long ago within a sentence: "2 minutes ago".
 * @param {string} iso
 */
export function since(iso) {
  const seconds = (new Date(iso).getTime() - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  const size = Math.abs(seconds);
  if (size < 45) return t("time.just_now");
  if (size < HOUR) return format.format(Math.round(seconds / MINUTE), "minute");
  if (size < DAY) return format.format(Math.round(seconds / HOUR), "hour");
  return format.format(Math.round(seconds / DAY), "day");
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < MINUTE) return t("time.seconds", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < HOUR) return t("time.minutes", { n: Math.round(seconds / MINUTE) });
  return t("time.hours", { n: Math.round(seconds / HOUR) });
}

/**
 * @param {string | null | undefined} from
 * @param {string | null | undefined} until
 */
export const between = (from, until) =>
  from && until ? duration((new Date(until).getTime() - new Date(from).getTime()) / 1000) : "";

/**
 * A moment as an element: short to read, whole for the pointer and for machines.
 * @param {string | null | undefined} iso
 * @param {(iso: string) => string} [shape]
 */
export function moment(iso, shape = ago) {
  if (!iso) return h("span", { class: "muted" }, "–");
  return h("time", { datetime: iso, title: dateTime(iso) }, shape(iso));
}

/**
 * Whole days until then; negative when it has passed.
 * @param {string} iso
 */
export const daysUntil = (iso) => Math.floor((new Date(iso).getTime() - Date.now()) / (DAY * 1000));

/** @param {string | null | undefined} code ISO 3166 alpha-2 */
export function country(code) {
  if (!code) return "";
  if (!/^[A-Za-z]{2}$/.test(code)) return code;
  return new Intl.DisplayNames([locale()], { type: "region", fallback: "code" }).of(code.toUpperCase()) ?? code;
}

/**
 * Company size as Partner Center codes it (51to250employees) or as a source wrote it.
 * @param {string | null | undefined} size
 */
export function companySize(size) {
  if (!size) return "";
  const range = /^(\d+)to(\d+)employees$/i.exec(size);
  if (range) return t("size.range", { from: number(Number(range[1])), to: number(Number(range[2])) });
  const over = /^(?:morethan)?(\d+)(?:plus)?employees$/i.exec(size);
  if (over) return t("size.over", { from: number(Number(over[1])) });
  return /^\d+$/.test(size) ? t("size.people", { n: Number(size) }) : size;
}

/** Names in the order the reader's language sorts them. */
export const inOrder = /** @param {string} a @param {string} b */ (a, b) =>
  new Intl.Collator(language(), { sensitivity: "base", numeric: true }).compare(a, b);
