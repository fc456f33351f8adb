// Referrals of a company or one by itself: its facts, its history, and the answers Partner Center still takes.
import { change } from "../api.js";
import { h } from "../dom.js";
import { companySize, country, dateTime, day, moment, money } from "../format.js";
import { t, word } from "../i18n.js";
import { confirmDialog } from "../overlays.js";
import { address } from "../router.js";
import { may, status } from "../status.js";
import { toast } from "../toasts.js";
import * as words from "../words.js";
import { copyButton, section } from "./pieces.js";

/** @typedef {import("../api-types").LeadDetail} LeadDetail */
/** @typedef {import("../api-types").ReferralDetail} ReferralDetail */

const ACTIONS = ["accept", "decline", "win", "lose"];

/**
 * @param {LeadDetail} detail
 * @param {() => void} after
 */
export function referralSection(detail, after) {
  if (detail.referrals.length === 0) return section(t("section.referral"), null, h("p", { class: "muted" }, t("referral.none")));
  return section(t(detail.referrals.length > 1 ? "section.referrals" : "section.referral"), null, h("div", null, detail.referrals.map((one) => h("div", { class: "item" }, ...referralFacts(one, after, true)))));
}

/**
 * @param {ReferralDetail} referral
 * @param {() => void} after
 * @param {boolean} [linked] its name is a link to it
 */
export function referralFacts(referral, after, linked = false) {
  const title = `${words.category(referral.category)}, ${words.referralWords(referral)}`;
  const late = referral.status === "New" && referral.days_left !== null ? words.urgency(referral.days_left) : "";
  const history = referral.history ?? [];
  return [
    h("p", { class: "line-pair" }, linked ? h("a", { href: address("referrals", referral.id), class: late || null }, title) : h("span", { class: late || null }, title), h("span", { class: "strong number" }, words.deal(referral))),
    referral.name ? h("p", { class: "muted small" }, referral.name) : null,
    actionRow(referral, after),
    h(
      "details",
      { class: "fold", "data-name": `referral ${referral.id}`, open: !linked },
      h("summary", null, t("referral.details")),
      h(
        "dl",
        { class: "pairs small" },
        [
          [t("field.type"), word(`type.${referral.type}`, referral.type)],
          [t("field.direction"), referral.direction ? word(`direction.${referral.direction}`, referral.direction) : ""],
          [t("field.place"), [referral.city, country(referral.country)].filter(Boolean).join(", ")],
          [t("field.size"), companySize(referral.company_size)],
          [t("field.expires"), referral.expires_at ? dateTime(referral.expires_at) : ""],
          [t("field.closing"), referral.closing_at ? day(referral.closing_at) : ""],
          [t("field.created"), dateTime(referral.created_at)],
          [t("field.updated"), dateTime(referral.updated_at)],
          [t("field.category_rule"), word(`category_rule.${referral.category_rule}`, referral.category_rule)],
          [t("field.notes"), referral.notes],
        ]
          .filter(([, value]) => value)
          .flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]),
        h("dt", null, t("field.id")),
        h("dd", { class: "mono id-line" }, h("span", { title: referral.id }, referral.id), copyButton(referral.id, t("copy.id"))),
      ),
      history.length > 0
        ? h("ul", { class: "timeline" }, history.map((one) => h("li", null, moment(one.at, day), h("span", null, words.referralStatus(one.status, one.substatus), one.deal_value !== null ? ` · ${money(one.deal_value, one.currency)}` : ""))))
        : null,
    ),
    ...(referral.actions ?? []).slice(0, 3).map((one) =>
      h("p", { class: ["failed", "refused", "rejected"].includes(one.state) ? "bad small" : "muted small" }, `${word(`action.${one.action}`, one.action)}: ${word(`action_state.${one.state}`, one.state)}${one.detail ? ` · ${one.detail}` : ""} · ${words.who(one.requested_by)}`),
    ),
  ].filter((one) => one !== null);
}

/**
 * @param {ReferralDetail} referral
 * @param {() => void} after
 */
function actionRow(referral, after) {
  const allowed = (referral.allowed_actions ?? []).filter((action) => ACTIONS.includes(action));
  if (allowed.length === 0) return null;
  const on = status()?.partner_center.write_back ?? true;
  if (!on) return h("p", { class: "muted small" }, t("write_back.off"));
  if (!may("act")) return h("p", { class: "muted small" }, t("role.viewer"));
  return h(
    "div",
    { class: "row-of" },
    allowed.map((action) =>
      h(
        "button",
        { type: "button", class: "button small", onclick: () => ask(referral, action, after) },
        word(`action.${action}`, action),
      ),
    ),
  );
}

/**
 * @param {ReferralDetail} referral
 * @param {string} action
 * @param {() => void} after
 */
function ask(referral, action, after) {
  const reason = h("textarea", { class: "input", maxlength: 300, required: action === "decline" || action === "lose" });
  const value = h("input", { class: "input", type: "number", min: 0, step: "0.01", inputmode: "decimal", value: referral.deal_value ?? "" });
  const needsReason = action === "decline" || action === "lose";
  confirmDialog({
    title: t("action.ask", { action: word(`action.${action}`, action), company: referral.company_name || referral.name }),
    content: h(
      "div",
      { class: "stack" },
      h("p", { class: "muted" }, word(`action.${action}.what`, "")),
      action === "win" ? h("label", { class: "field" }, h("span", { class: "label" }, referral.currency ? t("with_detail", { what: t("column.deal"), detail: referral.currency }) : t("column.deal")), value) : null,
      needsReason ? h("label", { class: "field" }, h("span", { class: "label" }, t("field.reason")), reason) : null,
    ),
    deed: word(`action.${action}`, action),
    danger: needsReason,
    run: async () => {
      /** @type {Record<string, string | number>} */
      const body = { action };
      if (needsReason) body.reason = reason.value.trim();
      if (action === "win" && value.value) body.deal_value = Number(value.value);
      await change("POST", `/referrals/${encodeURIComponent(referral.id)}/actions`, body);
      toast(t("action.done", { action: word(`action.${action}`, action) }), { tone: "good" });
      after();
    },
  });
}
