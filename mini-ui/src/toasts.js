// Short news in the corner. They never take the focus, and can be read again later.
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{at: string, text: string, tone: "plain" | "good" | "bad"}} News */

const SHOWN_MS = 7000;
const BAD_SHOWN_MS = 15000;
const KEPT = 50;
const MOST_AT_ONCE = 4;

/** @type {News[]} */
const history = [];
export const news = () => history;

/** @type {HTMLElement | null} */
let polite = null;
/** @type {HTMLElement | null} */
let urgent = null;

/** @param {HTMLElement} place */
export function startToasts(place) {
  polite = h("div", { role: "status", "aria-live": "polite" });
  urgent = h("div", { role: "alert" });
  place.replaceChildren(urgent, polite);
}

/**
 * @param {string} text
 * @param {{tone?: News["tone"], action?: HTMLElement}} [how]
 */
export function toast(text, { tone = "plain", action } = {}) {
  history.unshift({ at: new Date().toISOString(), text, tone });
  history.length = Math.min(history.length, KEPT);
  const place = tone === "bad" ? urgent : polite;
  if (!place) return;
  let left = 0;
  const leave = () => {
    clearTimeout(left);
    box.remove();
  };
  const stay = () => clearTimeout(left);
  const count = () => {
    clearTimeout(left);
    left = setTimeout(leave, tone === "bad" ? BAD_SHOWN_MS : SHOWN_MS);
  };
  const box = h(
    "div",
    { class: `toast ${tone}`, onmouseenter: stay, onmouseleave: count, onfocusin: stay, onfocusout: count },
    h("span", { class: "words" }, text, action ? " " : null, action),
    h("button", { class: "icon-button", type: "button", "aria-label": t("close"), onclick: leave }, icon("close")),
  );
  place.append(box);
  while (place.children.length > MOST_AT_ONCE) place.firstElementChild?.remove();
  count();
}
