// The keyboard map. A screen offers what it can do under these names; the keys are the same everywhere.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { openDialog, somethingOpen } from "./overlays.js";
import { go } from "./router.js";

/** @typedef {{step?: (by: 1 | -1) => void, toggle?: () => void, search?: () => void, filter?: () => void,
 *   back?: () => boolean, turn?: (by: 1 | -1) => void}} Offers */

/** @type {Offers} */
let offers = {};
/** @param {Offers} next */
export function offer(next) {
  offers = next;
}

/** @type {Record<string, string>} */
const ROOM_KEYS = { l: "leads", r: "referrals", i: "imports", c: "crm", u: "runs" };
const PREFIX_MS = 1200;
let prefixAt = -Infinity;

/** @returns {[string[], string][]} */
const map = () => [
  [["j", "k"], t("keys.step")],
  [["Enter"], t("keys.open")],
  [["x"], t("keys.pick")],
  [["n", "p"], t("keys.turn")],
  [["/"], t("keys.search")],
  [["f"], t("keys.filter")],
  [["Esc"], t("keys.back")],
  [["g", "l"], t("keys.go", { room: t("room.leads") })],
  [["g", "r"], t("keys.go", { room: t("room.referrals") })],
  [["g", "i"], t("keys.go", { room: t("room.imports") })],
  [["g", "c"], t("keys.go", { room: t("room.crm") })],
  [["g", "u"], t("keys.go", { room: t("room.runs") })],
  [["?"], t("keys.title")],
];

export function showKeys() {
  openDialog(
    t("keys.title"),
    h(
      "dl",
      { class: "keys" },
      map().flatMap(([keys, what]) => [
        h("dt", null, keys.flatMap((key, at) => [at > 0 ? " " : null, h("kbd", null, key)])),
        h("dd", null, what),
      ]),
    ),
  );
}

/** @param {EventTarget | null} target */
const typing = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && !["checkbox", "radio", "button", "submit"].includes(target.type)));

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      if (somethingOpen()) return;
      if (typing(event.target) && event.target instanceof HTMLElement && event.target.dataset.search !== undefined) {
        event.target.blur();
        event.preventDefault();
        return;
      }
      if (offers.back?.()) event.preventDefault();
      return;
    }
    if (typing(event.target) || somethingOpen()) return;
    const key = event.key.toLocaleLowerCase("en");
    if (event.timeStamp - prefixAt < PREFIX_MS) {
      prefixAt = -Infinity;
      const room = ROOM_KEYS[key];
      if (room) {
        event.preventDefault();
        go(`/${room}`);
      }
      return;
    }
    if (act(key, event.timeStamp)) event.preventDefault();
  });
}

/**
 * @param {string} key
 * @param {number} at when it was pressed; a busy page may get to it later
 */
function act(key, at) {
  switch (key) {
    case "g":
      prefixAt = at;
      return true;
    case "?":
      showKeys();
      return true;
    case "j":
    case "k":
      offers.step?.(key === "j" ? 1 : -1);
      return offers.step !== undefined;
    case "n":
    case "p":
      offers.turn?.(key === "n" ? 1 : -1);
      return offers.turn !== undefined;
    case "x":
      offers.toggle?.();
      return offers.toggle !== undefined;
    case "/":
      offers.search?.();
      return offers.search !== undefined;
    case "f":
      offers.filter?.();
      return offers.filter !== undefined;
    default:
      return false;
  }
}
