// What lies above the page: dialogs and popovers. The browser keeps their focus and closes the topmost on Esc.
import { freshId, h } from "./dom.js";
import { t, word } from "./i18n.js";
import { Problem, movedOn } from "./api.js";
import { routes } from "./router.js";

/**
 * A modal dialog. Esc and a click on the backdrop close it; the focus returns where it was.
 * @param {string} title
 * @param {import("./dom.js").Children} content
 * @param {{wide?: boolean, end?: HTMLElement[] | null}} [how] an own row of buttons; without one there is a button that closes
 */
export function openDialog(title, content, { wide = false, end = null } = {}) {
  const before = document.activeElement;
  const heading = freshId("title");
  const body = h("div", { class: "dialog-body" }, h("h2", { id: heading }, title), content);
  const dialog = h("dialog", { class: wide ? "wide" : null, "aria-labelledby": heading }, body);
  const ends = end ?? [h("button", { class: "button", type: "button" }, t("close"))];
  if (end === null) ends[0]?.addEventListener("click", () => dialog.close());
  if (ends.length > 0) body.append(h("div", { class: "dialog-end" }, ends));
  let pressedOutside = false;
  const outside = /** @param {MouseEvent} event */ (event) => {
    const box = dialog.getBoundingClientRect();
    return (
      event.target === dialog &&
      (event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom)
    );
  };
  dialog.addEventListener("pointerdown", (event) => (pressedOutside = outside(event)));
  dialog.addEventListener("click", (event) => pressedOutside && outside(event) && dialog.close());
  // An address opened from a dialog, or the back button, leaves the dialog behind.
  const leave = () => dialog.close();
  routes.addEventListener("route", leave, { once: true });
  dialog.addEventListener("close", () => {
    routes.removeEventListener("route", leave);
    dialog.remove();
    (before instanceof HTMLElement && before.isConnected ? before : heirOf(before))?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * What stands where something stood that was drawn anew meanwhile: the same control by name, else the room's title.
 * @param {Element | null} gone
 * @returns {HTMLElement | null}
 */
function heirOf(gone) {
  if (!gone || gone === document.body) return null;
  const name = /** @param {Element} one */ (one) => one.getAttribute("aria-label") ?? one.textContent;
  const alike = [...document.querySelectorAll(`#main ${gone.localName}`)].find((one) => name(one) === name(gone));
  const heir = alike ?? document.querySelector("#main h1");
  return heir instanceof HTMLElement ? heir : null;
}

/**
 * Asks before something happens; the deed runs inside the dialog, so its failure is told where it was asked for.
 * @param {{title: string, content?: import("./dom.js").Children, deed: string, danger?: boolean, wide?: boolean,
 *   run: () => Promise<unknown>}} asked
 */
export function confirmDialog({ title, content = null, deed, danger = false, wide = false, run }) {
  const said = h("p", { class: "bad", role: "alert", hidden: true });
  const cancel = h("button", { class: "button", type: "button" }, t("cancel"));
  const act = h("button", { class: `button ${danger ? "danger" : "primary"}`, type: "submit" }, deed);
  const form = h("form", { class: "stack", novalidate: true }, content, said, h("div", { class: "dialog-end" }, cancel, act));
  const dialog = openDialog(title, form, { wide, end: [] });
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (act.disabled || !form.reportValidity()) return;
    act.disabled = true;
    said.hidden = true;
    try {
      await run();
      dialog.close();
    } catch (error) {
      if (movedOn(error)) return;
      said.textContent = plain(error);
      said.hidden = false;
      act.disabled = false;
      act.focus();
    }
  });
  return dialog;
}

/**
 * A failure in the reader's words.
 * @param {unknown} error
 */
export function plain(error) {
  if (!(error instanceof Problem)) {
    console.error(error);
    return t("problem.internal");
  }
  const fields = error.fields.map((one) => fieldWords(one, error.code === "invalid")).join("; ");
  return [error.message, fields && `${fields}.`, error.fix, error.code === "internal" && error.requestId ? t("request", { id: error.requestId }) : ""]
    .filter(Boolean)
    .join(" ");
}

/**
 * A field that was refused, by its name on the page. The framework's own reasons are for programmers, and English.
 * @param {{field: string, message: string}} one
 * @param {boolean} nameOnly
 */
function fieldWords(one, nameOnly) {
  const name = one.field.split(".").pop() ?? one.field;
  const said = word(`field.${name}`, word(`filter.${name}`, word(`column.${name}`, name.replaceAll("_", " "))));
  const why = word(`domain_rejected.${one.message}`, nameOnly ? "" : one.message);
  return why ? `${said}: ${why}` : said;
}

/** @type {HTMLElement | null} */
let opened = null;

/**
 * A popover below its button. Closes on Esc, on a click elsewhere and on a second click on its button.
 * @param {HTMLElement} button
 * @param {(close: () => void) => HTMLElement[]} build
 * @param {{name: string, wide?: boolean, onclose?: () => void}} how
 */
export function popoverFrom(button, build, { name, wide = false, onclose }) {
  button.setAttribute("aria-haspopup", "dialog");
  button.setAttribute("aria-expanded", "false");
  /** @type {HTMLElement | null} */
  let mine = null;
  const open = () => mine !== null && mine.matches(":popover-open");
  let pressedWhileOpen = false;
  button.addEventListener("pointerdown", () => (pressedWhileOpen = open()));
  button.addEventListener("click", () => {
    // The press of this very click dismisses the popover before the click arrives: it meant to close.
    const meantToClose = pressedWhileOpen || open();
    pressedWhileOpen = false;
    if (meantToClose) {
      if (open()) mine?.hidePopover();
      return;
    }
    const box = h("div", { class: `popover${wide ? " wide" : ""}`, popover: "auto", role: "dialog", "aria-label": name });
    const close = () => box.hidePopover();
    box.append(...build(close));
    // Outside its bar, because a bar that is redrawn under the open popover must not take it away.
    document.body.append(box);
    opened = mine = box;
    box.addEventListener("toggle", (event) => {
      if (event.newState !== "closed") return;
      const inside = box.contains(document.activeElement) || document.activeElement === document.body;
      box.remove();
      if (opened === box) opened = null;
      button.setAttribute("aria-expanded", "false");
      const heir = button.isConnected ? button : document.querySelector(`[data-chip="${CSS.escape(button.dataset.chip ?? "")}"]`);
      if (inside && heir instanceof HTMLElement) heir.focus();
      onclose?.();
    });
    box.showPopover();
    button.setAttribute("aria-expanded", "true");
    place(box, button);
    new ResizeObserver((_, watch) => (box.isConnected ? place(box, button) : watch.disconnect())).observe(box);
    const first = box.querySelector("input, button, a, select");
    if (first instanceof HTMLElement) first.focus({ preventScroll: true });
  });
}

/**
 * @param {HTMLElement} box
 * @param {HTMLElement} button
 */
function place(box, button) {
  const at = button.getBoundingClientRect();
  const room = { width: document.documentElement.clientWidth, height: document.documentElement.clientHeight };
  const x = Math.max(8, Math.min(at.left, room.width - box.offsetWidth - 8));
  const below = at.bottom + 4;
  const y = below + box.offsetHeight <= room.height - 8 ? below : Math.max(8, Math.min(at.top - box.offsetHeight - 4, room.height - box.offsetHeight - 8));
  box.style.setProperty("--x", `${x}px`);
  box.style.setProperty("--y", `${y}px`);
}

/** Whether something lies above the page that Esc should close first. */
export const somethingOpen = () =>
  // The toggle event comes later than the closing: asking the popover itself swallows no key pressed in between.
  (opened !== null && opened.matches(":popover-open")) || document.querySelector("dialog[open]") !== null;
