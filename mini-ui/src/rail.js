// The rail: five rooms with their counts; at its foot the mode, the next sync, language, theme, news and keys.
import { alone } from "./api.js";
import { Part, h, icon } from "./dom.js";
import { dateTime, number } from "./format.js";
import { language, languages, speak, t, word } from "./i18n.js";
import { keep } from "./kept.js";
import { showKeys } from "./keys.js";
import { openDialog, popoverFrom } from "./overlays.js";
import { route, routes } from "./router.js";
import { nextSync } from "./screens/head.js";
import { status, statuses } from "./status.js";
import { news, toast } from "./toasts.js";

/** @type {{room: string, icon: "leads" | "referrals" | "imports" | "crm" | "runs", count: string | null}[]} */
const ROOMS = [
  { room: "leads", icon: "leads", count: "leads" },
  { room: "referrals", icon: "referrals", count: "referrals" },
  { room: "imports", icon: "imports", count: null },
  { room: "crm", icon: "crm", count: "crm" },
  { room: "runs", icon: "runs", count: "quarantine" },
];

class Rail extends Part {
  begin() {
    this.draw();
    this.hears(languages, "language", () => this.draw());
    this.hears(statuses, "status", () => this.fill());
    this.hears(routes, "route", () => this.fill());
  }

  draw() {
    this.links = ROOMS.map(({ room, icon: picture }) =>
      h(
        "a",
        { href: `/${room}`, "data-room": room },
        icon(picture),
        h("span", { class: "label" }, t(/** @type {import("./i18n.js").TextKey} */ (`room.${room}`))),
        h("span", { class: "label short" }, word(`room.${room}.short`, t(/** @type {import("./i18n.js").TextKey} */ (`room.${room}`)))),
        h("span", { class: "count" }),
      ),
    );
    this.mode = h("p");
    this.next = h("p");
    this.replaceChildren(
      h("header", { class: "brand" }, "Hunter"),
      h("nav", { class: "rooms", "aria-label": t("rooms") }, this.links),
      h("footer", { class: "foot" }, this.mode, this.next, h("div", { class: "foot-links" }, ...footLinks())),
    );
    this.fill();
  }

  fill() {
    const here = route().room;
    const now = status();
    for (const link of this.links ?? []) {
      if (link.dataset.room === here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      const about = ROOMS.find((one) => one.room === link.dataset.room);
      const figure = link.querySelector(".count");
      if (!figure || !about) continue;
      const counts = now?.counts ?? {};
      const decisions = (counts.rejects ?? 0) + (counts.conflicts ?? 0);
      const count = about.count === null ? 0 : about.count === "crm" ? decisions : (counts[about.count] ?? 0);
      // What is counted is not always everything in the room: of referrals, those that are open.
      const said = count > 0 ? t(/** @type {import("./i18n.js").TextKey} */ (`counted.${about.count}`), { n: count }) : "";
      figure.replaceChildren(...(count > 0 ? [h("span", { "aria-hidden": "true" }, number(count)), h("span", { class: "unseen" }, ` (${said})`)] : []));
      link.title = said;
      figure.classList.toggle("warn", (about.room === "crm" || about.room === "runs") && count > 0);
    }
    const leave = this.querySelector("[data-leave]");
    if (leave instanceof HTMLElement) leave.hidden = now?.user.signed_in !== true;
    if (this.mode) this.mode.textContent = now ? modeWords() : "";
    if (this.next) this.next.textContent = now ? nextSync() : "";
  }
}

function modeWords() {
  const now = status();
  if (!now) return "";
  return now.mode === "demo" ? t("mode.demo") : `${t("mode.production")}${now.user.signed_in ? ` · ${now.user.name}` : ""}`;
}

function footLinks() {
  const other = language() === "tr" ? "en" : "tr";
  const dark = isDark();
  const messages = h("button", { type: "button" }, t("news"));
  popoverFrom(messages, () => [newsList()], { name: t("news"), wide: true });
  return [
    h("button", { type: "button", lang: other, onclick: () => void speak(other) }, other === "tr" ? "Türkçe" : "English"),
    h("button", { type: "button", onclick: () => paint(dark ? "light" : "dark") }, dark ? t("theme.light") : t("theme.dark")),
    messages,
    h("a", { href: "/settings" }, t("room.settings")),
    h("button", { type: "button", "aria-label": t("keys.title"), onclick: showKeys }, t("keys.short")),
    // The rail stands before it is known who is asking, so the way out is there from the start and only hidden.
    h("button", { type: "button", "data-leave": true, hidden: status()?.user.signed_in !== true, onclick: signOut }, t("sign_out")),
  ];
}

async function signOut() {
  const left = await alone(async () => {
    const answer = await fetch("/auth/logout", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }).catch(() => null);
    return answer?.ok === true;
  });
  // Not to sign-in: with a Microsoft session in this browser that would sign in again without a question.
  if (left) location.assign("/auth/signed-out");
  else toast(t("sign_out.failed"), { tone: "bad" });
}

const isDark = () =>
  (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

/** @param {"light" | "dark"} theme */
function paint(theme) {
  document.documentElement.dataset.theme = theme;
  keep("theme", theme);
  const rail = document.querySelector("hunter-rail");
  if (!(rail instanceof Rail)) return;
  rail.draw();
  const button = rail.querySelectorAll(".foot-links button")[1];
  if (button instanceof HTMLElement) button.focus();
}

function newsList() {
  if (news().length === 0) return h("p", { class: "menu-group muted" }, t("news.none"));
  return h(
    "ul",
    { class: "menu-group" },
    news().map((one) =>
      h("li", null, h("p", { class: one.tone === "bad" ? "bad" : null }, one.text), h("p", { class: "muted small" }, dateTime(one.at))),
    ),
  );
}

/**
 * What the foot of the rail holds, for the phone.
 * @param {HTMLElement} button
 */
export function openMore(button) {
  button.addEventListener("click", () => {
    const links = footLinks();
    const dialog = openDialog(t("more"), [
      h("p", { class: "muted" }, modeWords(), h("br"), nextSync()),
      h("div", { class: "row-of" }, links.map((link) => (link.classList.add("button"), link))),
    ]);
    dialog.addEventListener("click", (event) => {
      const target = event.target;
      if (target instanceof Element && target.closest(".row-of > *") && target.closest("button")?.textContent !== t("news")) dialog.close();
    });
  });
}

customElements.define("hunter-rail", Rail);
