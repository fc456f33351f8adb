// What to say: the opening line, script, questions, offer and next step, in the language of the call.
import { get, movedOn } from "../api.js";
import { h } from "../dom.js";
import { money, number, weekDay } from "../format.js";
import { language, t, word } from "../i18n.js";
import { plain } from "../overlays.js";
import { copyButton, section } from "./pieces.js";

/** @typedef {import("../api-types").LeadDetail} LeadDetail */
/** @typedef {{opening?: string, why_segment?: string, why_provider?: string, security?: {risk: string, summary: string, angle: string, action: string},
 *   script?: string[], questions?: string[], offer?: {name: string, description?: string, price?: number | null, currency?: string | null, unit?: string | null} | null,
 *   potential?: {value: number, parts: {text: string, points: number}[]} | null, urgency?: string, next_step?: {text: string, by: string | null} | null}} Briefing */

/**
 * @param {LeadDetail} detail
 * @param {AbortSignal} signal
 */
export function briefingSection(detail, signal) {
  if (!detail.score) return null;
  const box = h("div", { class: "briefing" }, h("span", { class: "bone" }), h("span", { class: "bone short" }));
  let spoken = language();
  const load = async () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.lang === spoken));
    try {
      /** @type {{briefing: Briefing}} */
      const { briefing } = await get(`/leads/${encodeURIComponent(detail.lead.domain)}/briefing`, { lang: spoken }, signal);
      box.lang = spoken;
      box.replaceChildren(...parts(briefing));
    } catch (error) {
      if (movedOn(error)) return;
      box.replaceChildren(h("p", { class: "muted" }, plain(error)), h("button", { type: "button", class: "button small", onclick: load }, t("retry")));
    }
  };
  const buttons = /** @type {const} */ (["tr", "en"]).map((lang) =>
    h(
      "button",
      {
        type: "button",
        lang,
        onclick: () => {
          spoken = lang;
          void load();
        },
      },
      lang === "tr" ? "Türkçe" : "English",
    ),
  );
  void load();
  return section(t("section.say"), h("span", { class: "toggle" }, buttons), box);
}

/** @param {Briefing} briefing */
function parts(briefing) {
  const { security, offer, potential, next_step: next } = briefing;
  const block = /** @param {string} title @param {...import("../dom.js").Children} content */ (title, ...content) => h("div", null, h("h4", null, title), ...content);
  const whole = [briefing.opening, ...(briefing.script ?? []), ...(briefing.questions ?? []), next?.text].filter(Boolean).join("\n");
  const found = [
    briefing.opening ? h("div", { class: "quote" }, briefing.opening, " ", copyButton(briefing.opening, t("copy.opening"))) : null,
    briefing.why_segment || briefing.why_provider ? h("p", { class: "muted" }, [briefing.why_segment, briefing.why_provider].filter(Boolean).join(" ")) : null,
    security ? block(t("briefing.security", { risk: word(`risk.${security.risk}`, security.risk) }), h("p", null, [security.summary, security.angle, security.action].filter(Boolean).join(" "))) : null,
    briefing.script?.length ? block(t("briefing.script"), h("ol", null, briefing.script.map((line) => h("li", null, line)))) : null,
    briefing.questions?.length ? block(t("briefing.questions"), h("ul", null, briefing.questions.map((line) => h("li", null, line)))) : null,
    offer
      ? block(
          t("briefing.offer"),
          h("p", { class: "line-pair" }, h("span", { class: "strong" }, offer.name), offer.price !== null && offer.price !== undefined ? h("span", { class: "number" }, money(offer.price, offer.currency), offer.unit ? h("span", { class: "muted" }, ` / ${offer.unit}`) : null) : h("span", { class: "muted" }, t("briefing.on_request"))),
          offer.description ? h("p", { class: "muted" }, offer.description) : null,
        )
      : null,
    potential
      ? h(
          "details",
          { class: "fold", "data-name": "potential" },
          h("summary", null, t("briefing.potential", { value: potential.value })),
          h("ul", null, potential.parts.map((part) => h("li", { class: "line-pair" }, h("span", null, part.text), h("span", { class: "number" }, number(part.points))))),
        )
      : null,
    briefing.urgency ? h("p", null, briefing.urgency) : null,
    next ? block(t("briefing.next"), h("p", null, next.text, next.by ? h("span", { class: "muted" }, ` · ${t("by", { day: weekDay(next.by) })}`) : null)) : null,
    whole ? h("p", { class: "muted small" }, t("briefing.copy"), " ", copyButton(whole, t("briefing.copy"))) : null,
  ];
  return found.filter((one) => one !== null);
}
