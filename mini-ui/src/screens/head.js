// The title of a room, and the health of the engine in one sentence.
import { Part, h, icon } from "../dom.js";
import { clock, since } from "../format.js";
import { t } from "../i18n.js";
import { live } from "../live.js";
import { status, statuses } from "../status.js";
import { openMore } from "../rail.js";

/**
 * @param {string} title
 * @param {...HTMLElement} actions
 */
export function head(title, ...actions) {
  const more = h("button", { type: "button", class: "icon-button more-button", "aria-label": t("more") }, icon("more"));
  openMore(more);
  return h(
    "header",
    { class: "head" },
    h("div", null, h("h1", { tabindex: -1 }, title), document.createElement("hunter-health")),
    ...actions,
    more,
  );
}

let connected = true;
live.addEventListener("connection", (event) => {
  connected = /** @type {CustomEvent<boolean>} */ (event).detail;
});

/** The sentence under the title. */
class HealthLine extends Part {
  begin() {
    const line = h("p", { class: "health", role: "status" });
    this.replaceChildren(line);
    let before = "";
    const draw = () => {
      const { level, words, href } = sentence();
      line.className = `health ${level}`;
      // The same sentence is not said again to a screen reader.
      if (words + href === before) return;
      before = words + href;
      line.replaceChildren(href ? h("a", { href, class: "inherit" }, words) : words);
    };
    draw();
    this.hears(statuses, "status", draw);
    this.hears(live, "connection", draw);
    const minute = setInterval(draw, 30000);
    this.signal.addEventListener("abort", () => clearInterval(minute));
  }
}

/** @returns {{level: string, words: string, href: string}} */
function sentence() {
  if (!connected) return { level: "warning", words: t("health.reconnecting"), href: "" };
  const now = status();
  if (!now) return { level: "", words: t("loading"), href: "" };
  const codes = new Map(now.health.codes.map((one) => [one.code, one]));
  const last = now.partner_center.last_success_at;
  const lastWords = last ? ` ${t("health.last", { ago: since(last) })}` : "";
  if (codes.has("engine_down")) return { level: "problem", words: t("health.engine_down") + lastWords, href: "" };
  if (codes.has("sync_failed")) {
    const error = codes.get("sync_failed")?.error;
    return { level: "problem", words: `${error ? t("health.sync_failed_why", { why: error }) : t("health.sync_failed")}${lastWords}`, href: "/runs" };
  }
  if (codes.has("dynamics_failed")) {
    const error = codes.get("dynamics_failed")?.error;
    return { level: "problem", words: error ? t("health.dynamics_failed_why", { why: error }) : t("health.dynamics_failed"), href: "/runs" };
  }
  if (codes.has("sync_late")) return { level: "warning", words: t("health.sync_late") + lastWords, href: "/runs" };
  if (now.running.length > 0) return { level: "ok", words: t("health.syncing") + lastWords, href: "" };
  if (codes.has("partner_center_off")) return { level: "warning", words: t("health.partner_center_off"), href: "/settings" };
  if (codes.has("never_synced")) return { level: "warning", words: t("health.never_synced"), href: "" };
  const parts = [];
  if (last) parts.push(t("health.synced", { ago: since(last) }));
  if (now.dynamics.last_success_at) parts.push(t("health.dynamics_synced", { ago: since(now.dynamics.last_success_at) }));
  else if (!now.dynamics.enabled) parts.push(t("health.dynamics_off"));
  return { level: "ok", words: parts.join(", "), href: "" };
}

/** When the engine asks Partner Center next. */
export function nextSync() {
  const partner = status()?.partner_center;
  if (!partner?.enabled || !partner.next_at) return t("next_sync.off");
  const every = partner.interval_seconds;
  const rhythm = every % 60 === 0 ? t("every_minutes", { n: every / 60 }) : t("every_seconds", { n: every });
  return t("next_sync", { time: clock(partner.next_at), rhythm });
}

customElements.define("hunter-health", HealthLine);
