// What is open beside a list: a region next to it at a desk, a sheet over everything on a phone.
import { freshId, h, icon } from "../dom.js";
import { t } from "../i18n.js";

/** Below this width what is open lies over the page and keeps the focus. */
export const SHEET = "(max-width: 760px)";
const BONES = 6;

export const bones = () => Array.from({ length: BONES }, () => h("span", { class: "bone", "aria-hidden": "true" }));

/**
 * Gives an element the role of its shape, and takes everything behind a sheet out of reach.
 * @param {HTMLElement} element
 */
export function shape(element) {
  const sheet = matchMedia(SHEET).matches;
  element.setAttribute("role", sheet ? "dialog" : "region");
  if (sheet) element.setAttribute("aria-modal", "true");
  else element.removeAttribute("aria-modal");
  seal(element, sheet && !element.hidden);
}

/**
 * @param {HTMLElement} element
 * @param {boolean} on
 */
export function seal(element, on) {
  const rest = [document.querySelector("hunter-rail"), document.getElementById("skip")];
  for (let one = /** @type {Element | null} */ (element); one && one.id !== "main"; one = one.parentElement) {
    for (const sibling of one.parentElement?.children ?? []) if (sibling !== one) rest.push(sibling);
  }
  for (const one of rest) one?.toggleAttribute("inert", on);
}

export class Side {
  titleId = freshId("side");
  element = h("section", { class: "drawer", hidden: true, "aria-labelledby": this.titleId });
  body = h("div", { class: "drawer-body" });
  /** What is open. @type {string | null} */
  id = null;
  /** @type {Element | null} */
  #opener = null;

  /**
   * @param {() => void} close
   * @param {AbortSignal} signal when the room is left
   */
  constructor(close, signal) {
    this.close = close;
    matchMedia(SHEET).addEventListener("change", () => this.element.isConnected && shape(this.element), { signal });
    signal.addEventListener("abort", () => seal(this.element, false));
  }

  /**
   * Opens for something; tells whether it is another than before.
   * @param {string} id
   */
  open(id) {
    const fresh = this.element.hidden;
    if (fresh) this.#opener = document.activeElement;
    this.element.hidden = false;
    shape(this.element);
    if (this.id === id) return false;
    this.id = id;
    const inside = this.element.contains(document.activeElement) || document.activeElement === document.body;
    this.fill(t("loading"), bones());
    this.element.scrollTop = 0;
    // With a list beside it the focus stays where the reader is going through it.
    if (fresh || inside || matchMedia(SHEET).matches) this.#title()?.focus({ preventScroll: true });
    return true;
  }

  /** Tells whether it had the focus. */
  hide() {
    const had = !this.element.hidden && (this.element.contains(document.activeElement) || document.activeElement === document.body);
    this.element.hidden = true;
    this.id = null;
    seal(this.element, false);
    return had;
  }

  /** Gives the focus to what opened it; tells whether that is still there. */
  giveBack() {
    const opener = this.#opener;
    if (!(opener instanceof HTMLElement) || opener === document.body || !opener.isConnected) return false;
    opener.focus({ preventScroll: true });
    return true;
  }

  /**
   * @param {string} title
   * @param {(Node | null)[]} content
   */
  fill(title, content) {
    const active = document.activeElement;
    const held = active instanceof HTMLElement && this.element.contains(active) ? active : null;
    const heading = h("h2", { id: this.titleId, tabindex: -1 }, title);
    const close = h("button", { type: "button", class: "icon-button", "aria-label": t("close.lead"), title: "Esc", onclick: () => this.close() }, icon("close"));
    this.body = h("div", { class: "drawer-body" }, content);
    this.element.replaceChildren(h("div", { class: "drawer-head" }, h("div", { class: "title-line" }, h("div", null, heading), close)), this.body);
    if (held === null) return;
    const name = nameOf(held);
    const heir = held.matches("h2") ? null : [...this.element.querySelectorAll("button, summary, a")].find((one) => one instanceof HTMLElement && nameOf(one) === name);
    (heir instanceof HTMLElement ? heir : heading).focus({ preventScroll: true });
  }

  #title() {
    const title = this.element.querySelector("h2");
    return title instanceof HTMLElement ? title : null;
  }
}

/** @param {HTMLElement} element */
const nameOf = (element) => element.getAttribute("aria-label") ?? element.textContent;
