// Words in two languages, of which the page fetches the one it speaks. Both hold the same keys; a test compares them.
import { keep } from "./kept.js";

/** @typedef {keyof typeof import("./texts/en.js").en} TextKey */
/** @typedef {"en" | "tr"} Language */
/** @typedef {Record<string, string | {one: string, other: string}>} Catalogue */

/** @type {Record<Language, () => Promise<Catalogue>>} */
const catalogues = {
  en: async () => (await import("./texts/en.js")).en,
  tr: async () => (await import("./texts/tr.js")).tr,
};
/** Tells `language` when the language was switched. */
export const languages = new EventTarget();

/** @type {Language} */
let current = document.documentElement.lang === "tr" ? "tr" : "en";
let plural = new Intl.PluralRules(current);
let texts = await catalogues[current]();

export const language = () => current;
/** The locale that dates and numbers follow. */
export const locale = () => (current === "tr" ? "tr-TR" : "en-GB");

/**
 * Switches the language; the page stays as it is when the other catalogue can't be fetched.
 * @param {Language} next
 */
export async function speak(next) {
  if (next === current) return;
  const fetched = await catalogues[next]().catch(() => null);
  if (fetched === null) return;
  texts = fetched;
  current = next;
  plural = new Intl.PluralRules(current);
  document.documentElement.lang = next;
  keep("language", next);
  languages.dispatchEvent(new Event("language"));
}

/**
 * The text of a key. `{name}` is filled in; an entry with `one` and `other` is chosen by `n`.
 * @param {TextKey} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const entry = texts[key] ?? key;
  const text =
    typeof entry === "string" ? entry : entry[plural.select(Number(values.n)) === "one" ? "one" : "other"];
  return text.replace(/\{(\w+)\}/g, (_whole, name) => {
    const value = values[name];
    return typeof value === "number" ? value.toLocaleString(locale()) : String(value ?? "");
  });
}

/**
 * The text of a key that may not exist, e.g. for a value a service invented since.
 * @param {string} key
 * @param {string} otherwise
 */
export function word(key, otherwise) {
  return key in texts ? t(/** @type {TextKey} */ (key)) : otherwise;
}

/**
 * A text that came in both languages.
 * @param {{en?: string, tr?: string} | string | null | undefined} text
 */
export function either(text) {
  if (!text) return "";
  return typeof text === "string" ? text : (text[current] ?? text.en ?? "");
}
