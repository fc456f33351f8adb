// What is on, who is signed in, which versions run. Nothing can be changed here.
import { Part, external, h } from "../dom.js";
import { t, word } from "../i18n.js";
import { offer } from "../keys.js";
import { status, statuses } from "../status.js";
import * as words from "../words.js";
import { head } from "./head.js";

class SettingsScreen extends Part {
  begin() {
    document.title = `${t("room.settings")} · Hunter`;
    offer({});
    this.body = h("div", { class: "scrolls padded stack settings", tabindex: 0, role: "group", "aria-label": t("room.settings") });
    this.replaceChildren(head(t("room.settings")), this.body);
    this.draw();
    this.hears(statuses, "status", () => this.draw());
  }

  draw() {
    const now = status();
    if (!now || !this.body) return;
    const onOff = /** @param {boolean} on */ (on) => h("span", { class: on ? "good" : "muted" }, t(on ? "settings.on" : "settings.off"));
    const rows = /** @type {[string, import("../dom.js").Children][]} */ ([
      [t("settings.user"), `${words.who(now.user.name)} (${word(`role_name.${now.user.role}`, now.user.role)})`],
      [t("settings.environment"), now.mode === "demo" ? t("mode.demo") : word(`environment.${now.environment}`, now.environment)],
      [t("settings.version"), now.version],
      [t("settings.rules"), now.rules_version ?? "–"],
      ["Partner Center", onOff(now.partner_center.enabled)],
      [t("settings.write_back"), onOff(now.partner_center.write_back)],
      ["Dynamics", now.dynamics.url ? [onOff(now.dynamics.enabled), " · ", external(now.dynamics.url, now.dynamics.url)] : onOff(now.dynamics.enabled)],
      [t("settings.engine"), [onOff(now.engine.up), " · ", external(now.engine.url, "Dagster")]],
    ]);
    this.body.replaceChildren(
      block(t("settings.about"), h("dl", { class: "pairs" }, rows.flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]))),
      block(
        t("settings.list"),
        h("p", { class: "muted" }, t(now.settings.length > 0 ? "settings.read_only" : "settings.only_admin")),
        now.settings.length > 0
          ? h(
              "table",
              { class: "changes" },
              h("thead", null, h("tr", null, h("th", { scope: "col" }, t("settings.name")), h("th", { scope: "col" }, t("settings.value")))),
              h("tbody", null, now.settings.map((one) => h("tr", null, h("th", { scope: "row", title: one.description, class: "mono" }, one.name), h("td", null, one.value || "–")))),
            )
          : null,
      ),
    );
  }
}

/**
 * @param {string} title
 * @param {...import("../dom.js").Children} content
 */
const block = (title, ...content) => h("section", { class: "section" }, h("h2", null, title), ...content);

customElements.define("hunter-settings", SettingsScreen);
