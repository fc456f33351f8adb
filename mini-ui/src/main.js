// Starts the page: the rail stays, the room in the main part follows the address.
import { connection } from "./api.js";
import { h } from "./dom.js";
import { languages, t } from "./i18n.js";
import { offer, startKeys } from "./keys.js";
import { listen, live } from "./live.js";
import "./rail.js";
import { route, routes, startRouting } from "./router.js";
import { nothing } from "./parts/list.js";
import "./screens/head.js";
import { head } from "./screens/head.js";
import "./screens/leads.js";
import { followStatus, refreshStatus, statuses } from "./status.js";
import { startToasts, toast } from "./toasts.js";
import { runState, stage } from "./words.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const skip = /** @type {HTMLElement} */ (document.getElementById("skip"));

/** Rooms beyond the first are fetched when they are first opened.
 * @type {Record<string, () => Promise<unknown>>} */
const ROOMS = {
  leads: async () => undefined,
  referrals: () => import("./screens/referrals.js"),
  imports: () => import("./screens/imports.js"),
  crm: () => import("./screens/crm.js"),
  runs: () => import("./screens/runs.js"),
  settings: () => import("./screens/settings.js"),
};

/** @type {string | null} */
let shown = null;

/** @typedef {HTMLElement & {routed?: () => void}} Screen */

async function show() {
  const { room } = route();
  if (room === shown) {
    /** @type {Screen | null} */ (main.firstElementChild)?.routed?.();
    return;
  }
  const first = shown === null;
  shown = room;
  offer({});
  const load = ROOMS[room];
  if (!load) {
    main.replaceChildren(h("div", null, head(t("nowhere.title")), nothing(t("nowhere.title"), t("nowhere.what"), h("a", { class: "button", href: "/leads" }, t("room.leads")))));
  } else {
    try {
      await load();
    } catch {
      main.replaceChildren(h("div", null, head(t("failed.title")), nothing(t("failed.title"), t("problem.unreachable"), h("a", { class: "button", href: location.href, target: "_self" }, t("retry")))));
      shown = null;
      return;
    }
    if (route().room !== room) return;
    main.replaceChildren(document.createElement(`hunter-${room}`));
  }
  if (!first) main.querySelector("h1")?.focus({ preventScroll: true });
}

function redraw() {
  skip.textContent = t("skip");
  const active = document.activeElement;
  const onSwitch = active instanceof HTMLElement && active.closest(".foot-links") !== null;
  shown = null;
  void show();
  if (onSwitch) {
    const button = document.querySelector(".foot-links button");
    if (button instanceof HTMLElement) button.focus();
  }
}

function tellSignedOut() {
  if (document.getElementById("signed-out")) return;
  const back = () => `/auth/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  const link = h("a", { href: back() }, t("sign_in"));
  // Asked again when it is clicked: the reader may have looked elsewhere since.
  link.addEventListener("click", () => (link.href = back()));
  document.body.append(
    h(
      "div",
      { id: "signed-out", class: "toasts", role: "alert" },
      h(
        "div",
        { class: "toast bad" },
        h("span", { class: "words" }, t("signed_out"), " ", link),
      ),
    ),
  );
}

function goOnSignedIn() {
  document.getElementById("signed-out")?.remove();
  void refreshStatus().then(redraw);
}

function tellHappenings() {
  live.addEventListener("stage_finished", (event) => {
    const { subject, body } = /** @type {CustomEvent<import("./live.js").Happening>} */ (event).detail;
    if (body?.state === "failed") {
      toast(t("stage_failed", { stage: stage(subject), why: String(body.error ?? "") }), { tone: "bad" });
    }
  });
  live.addEventListener("alert", (event) => {
    const { body } = /** @type {CustomEvent<import("./live.js").Happening>} */ (event).detail;
    const words = body?.text ?? body?.message ?? body?.title;
    if (words) toast(String(words), { tone: "bad" });
  });
  live.addEventListener("run_finished", (event) => {
    const { body } = /** @type {CustomEvent<import("./live.js").Happening>} */ (event).detail;
    if (body?.state === "cancelled") toast(t("run_ended", { state: runState("cancelled") }));
  });
}

startToasts(/** @type {HTMLElement} */ (document.getElementById("toasts")));
startRouting();
startKeys();
// What was drawn before it was known who is here offers too much, or too little.
statuses.addEventListener("rights", redraw);
followStatus();
tellHappenings();
connection.addEventListener("signed-out", tellSignedOut);
connection.addEventListener("signed-in", goOnSignedIn);
routes.addEventListener("route", show);
languages.addEventListener("language", redraw);
skip.textContent = t("skip");
skip.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
void show();
void refreshStatus().then((now) => listen(now?.last_event_id));
