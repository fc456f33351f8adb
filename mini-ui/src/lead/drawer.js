// One lead whole: who, do, why, say, referral, Dynamics, evidence, history. The list stays usable beside it.
import { apiAddress, change, get, movedOn } from "../api.js";
import { Part, freshId, h, icon, external } from "../dom.js";
import { companySize, country, dateTime, moment } from "../format.js";
import { language, t, word } from "../i18n.js";
import { live } from "../live.js";
import { plain } from "../overlays.js";
import { failure } from "../parts/list.js";
import { SHEET, bones, seal, shape } from "../parts/side.js";
import { followRun, runSummary } from "../parts/sync.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import * as words from "../words.js";
import { briefingSection } from "./briefing.js";
import { copyButton, reach, section } from "./pieces.js";
import { dynamicsSection, previewPush } from "./dynamics.js";
import { editCompany, mergeCompany, undoMerge } from "./edit.js";
import { referralSection } from "./referrals.js";
import { scoreSection } from "./score.js";
import { scanSection } from "./scan.js";

/** @typedef {import("../api-types").LeadDetail} LeadDetail */

export class LeadDrawer extends Part {
  /** @type {string | null} */
  domain = null;
  /** The lead as it was last drawn. */
  told = "";
  /** Its domain as people read it. */
  shown = "";
  /** @type {AbortController | null} */
  loading = null;
  titleId = freshId("lead");

  begin() {
    this.classList.add("drawer");
    this.setAttribute("aria-labelledby", this.titleId);
    const heard = /** @param {CustomEvent<import("../live.js").Happening>} event */ (event) => {
      if (!this.hidden && this.domain && (event.detail.subject === this.domain || event.detail.subject === null)) void this.load(true);
    };
    this.hears(live, "leads_changed", heard);
    this.hears(live, "gap", () => this.domain && this.load(true));
    const narrow = matchMedia(SHEET);
    narrow.addEventListener("change", () => shape(this), { signal: this.signal });
    this.signal.addEventListener("abort", () => {
      this.loading?.abort();
      seal(this, false);
    });
  }

  /** @param {string} domain */
  show(domain) {
    const fresh = this.hidden;
    this.hidden = false;
    shape(this);
    if (this.domain === domain) return;
    this.domain = domain;
    this.told = "";
    this.#frame(domain, null);
    this.body?.replaceChildren(...bones());
    this.scrollTop = 0;
    void this.load();
    // From the keyboard the focus goes in with the lead; it returns to the row on closing.
    if (fresh || this.contains(document.activeElement) || document.activeElement === document.body || matchMedia(SHEET).matches) this.#focusTitle();
  }

  hide() {
    this.loading?.abort();
    this.hidden = true;
    this.domain = null;
    seal(this, false);
  }

  #focusTitle() {
    const title = this.querySelector("h2");
    if (title instanceof HTMLElement) title.focus({ preventScroll: true });
  }

  /**
   * @param {boolean} [quiet] what is on screen stays until the new is there
   * @param {boolean} [forced] even under the hands of who changed it
   */
  async load(quiet = false, forced = false) {
    const domain = this.domain;
    if (domain === null) return;
    this.loading?.abort();
    this.loading = new AbortController();
    try {
      /** @type {LeadDetail} */
      const detail = await get(`/leads/${encodeURIComponent(domain)}`, {}, this.loading.signal);
      if (this.domain !== domain) return;
      // Somebody may be reading, comparing or typing in here; what they opened stays open.
      if (quiet && !forced && this.body?.querySelector("form:focus-within, .what-if:focus-within")) return;
      // Most of what happens elsewhere leaves this lead as it is.
      const told = JSON.stringify(detail);
      if (quiet && !forced && told === this.told) return;
      this.told = told;
      this.#draw(detail);
    } catch (error) {
      if (movedOn(error) || quiet) return;
      this.body?.replaceChildren(failure(error, () => this.load()));
    }
  }

  changed() {
    this.dispatchEvent(new Event("changed"));
    void this.load(true, true);
  }

  /**
   * @param {string} name
   * @param {LeadDetail | null} detail
   */
  #frame(name, detail) {
    const held = this.querySelector("h2") === document.activeElement;
    const close = h("button", { type: "button", class: "icon-button", "aria-label": t("close.lead"), title: "Esc", onclick: () => this.dispatchEvent(new Event("closed")) }, icon("close"));
    const title = h("h2", { id: this.titleId, tabindex: -1 }, name);
    this.headBox = h(
      "div",
      { class: "drawer-head stack" },
      h("div", { class: "title-line" }, h("div", null, title, detail ? whoLine(detail) : h("p", { class: "muted small" }, "\u00a0")), close),
      detail ? this.#deeds(detail) : null,
    );
    if (!this.body || !this.body.isConnected) this.body = h("div", { class: "drawer-body" });
    this.replaceChildren(this.headBox, this.body);
    if (held) title.focus({ preventScroll: true });
  }

  /** @param {LeadDetail} detail */
  #draw(detail) {
    const openBefore = new Set([...this.querySelectorAll("details[open]")].map((one) => one.getAttribute("data-name")));
    const heldName = document.activeElement instanceof HTMLElement && this.contains(document.activeElement) ? (document.activeElement.dataset.name ?? document.activeElement.closest("details")?.dataset.name ?? document.activeElement.textContent) : null;
    const held = heldName !== null;
    const asked = new Map([...this.querySelectorAll("select")].map((one) => [one.name, one.value]));
    const scroll = this.scrollTop;
    document.title = `${detail.lead.name} · Hunter`;
    this.shown = detail.lead.domain_shown;
    const hadTitle = document.activeElement === this.querySelector("h2");
    this.#frame(detail.lead.name, detail);
    const after = () => this.changed();
    this.body?.replaceChildren(
      ...[
        whoSection(detail, after),
        scoreSection(detail, this.signal),
        briefingSection(detail, this.signal),
        referralSection(detail, after),
        dynamicsSection(detail, after),
        scanSection(detail, () => this.rescan(detail.lead.domain)),
        historySection(detail),
      ].filter((one) => one !== null),
    );
    for (const fold of this.querySelectorAll("details[data-name]")) {
      if (openBefore.has(fold.getAttribute("data-name"))) fold.setAttribute("open", "");
    }
    askAgain(this.querySelectorAll("select"), asked);
    this.scrollTop = scroll;
    if (held && !hadTitle && document.activeElement === document.body) {
      const heir = [...this.querySelectorAll("button, summary, a")].find((one) => one.textContent === heldName || one.closest("details")?.getAttribute("data-name") === heldName);
      if (heir instanceof HTMLElement) heir.focus({ preventScroll: true });
      else this.#focusTitle();
    }
  }

  /** @param {LeadDetail} detail */
  #deeds(detail) {
    const { domain } = detail.lead;
    const can = may("act");
    const on = detail.dynamics.enabled;
    const push = h("button", { type: "button", class: "button primary", disabled: !can || !on, title: on ? null : t("dynamics.off"), onclick: () => this.push(domain, push) }, t("push"));
    const preview = h("button", { type: "button", class: "button", disabled: !can || !on, onclick: () => previewPush(detail.lead, this.signal, () => this.push(domain, push)) }, t("preview"));
    const pdf = h("a", { class: "button", href: apiAddress(`/leads/${encodeURIComponent(domain)}/briefing.pdf`, { lang: language() }), download: `${domain}.pdf` }, t("briefing.pdf"));
    const next = nextStep(detail);
    const why = can ? null : h("p", { class: "muted small" }, t("role.viewer"));
    return h("div", { class: "stack" }, next, h("div", { class: "row-of" }, push, preview, pdf), why);
  }

  /**
   * @param {string} domain
   * @param {HTMLButtonElement} [button]
   */
  async push(domain, button) {
    if (button?.disabled) return;
    if (button) button.disabled = true;
    const shown = this.shown;
    try {
      /** @type {import("../api-types").RunAnswer} */
      const { run } = await change("POST", `/dynamics/sync/${encodeURIComponent(domain)}`, { dry_run: false });
      toast(t("push.started", { domain: shown }));
      const ended = await followRun(run, this.signal);
      toast(ended.state === "succeeded" ? t("push.done", { domain: shown }) : runSummary(ended), { tone: ended.state === "succeeded" ? "good" : "bad" });
      this.changed();
    } catch (error) {
      if (!movedOn(error)) toast(plain(error), { tone: "bad" });
    } finally {
      if (button) button.disabled = false;
    }
  }

  /** @param {string} domain */
  async rescan(domain) {
    const shown = this.shown;
    try {
      /** @type {import("../api-types").RunAnswer} */
      const { run } = await change("POST", `/leads/${encodeURIComponent(domain)}/rescan`);
      toast(t("rescan.started", { domain: shown }));
      const ended = await followRun(run, this.signal);
      toast(ended.state === "succeeded" ? t("rescan.done", { domain: shown }) : runSummary(ended), { tone: ended.state === "succeeded" ? "good" : "bad" });
      this.changed();
    } catch (error) {
      if (!movedOn(error)) toast(plain(error), { tone: "bad" });
    }
  }
}

/**
 * What was asked in "what if" is asked of the lead as it is now.
 * @param {NodeListOf<HTMLSelectElement>} selects
 * @param {Map<string, string>} asked
 */
function askAgain(selects, asked) {
  for (const select of selects) {
    const value = asked.get(select.name);
    if (value) select.value = value;
  }
  [...selects].find((one) => one.value)?.dispatchEvent(new Event("change"));
}

/** @param {LeadDetail} detail */
function whoLine(detail) {
  const { lead, company } = detail;
  const place = [company?.city, country(lead.country)].filter(Boolean).join(", ");
  const parts = [place, companySize(lead.size)].filter(Boolean);
  return h(
    "p",
    { class: "muted small" },
    lead.domain_shown,
    " ",
    copyButton(lead.domain, t("copy.domain")),
    parts.map((part) => [" ", h("span", { class: "together" }, `· ${part}`)]).flat(),
  );
}

/** What to do with this lead, and by when. @param {LeadDetail} detail */
function nextStep(detail) {
  const { lead, score, referrals, contacts } = detail;
  const refused = contacts.length > 0 && contacts.every((one) => one.refuses_contact);
  const expiring = referrals
    .filter((one) => one.status === "New" && one.expires_at)
    .sort((a, b) => String(a.expires_at).localeCompare(String(b.expires_at)))[0];
  const answer = expiring?.days_left !== null && expiring?.days_left !== undefined ? t("next.answer", { left: words.daysLeft(expiring.days_left) }) : "";
  if (!lead.priority) return h("p", null, answer || t("next.not_scored"));
  const label = word(`priority.${lead.priority}`, score?.priority_label ?? lead.priority);
  return h("p", null, words.badge(lead.priority, false), " ", h("span", { class: "strong" }, label), h("span", { class: "muted" }, ` · ${refused ? t("next.refused") : word(`next.${lead.priority}`, "")}`), answer ? h("span", { class: "warn" }, ` · ${answer}`) : null);
}

/**
 * @param {LeadDetail} detail
 * @param {() => void} after
 */
function whoSection(detail, after) {
  const { company, contacts, lead } = detail;
  const edited = Object.keys(company?.edited ?? {});
  const people = contacts.map((one) => {
    const name = [one.first_name, one.last_name].filter(Boolean).join(" ");
    return h(
      "li",
      { class: "item" },
      h("p", null, h("span", { class: "strong" }, name || one.email), one.title ? h("span", { class: "muted" }, ` · ${one.title}`) : null),
      one.refuses_contact ? h("p", { class: "warn small" }, t("contacts.refuses")) : null,
      h(
        "p",
        { class: "small address" },
        reach(`mailto:${encodeURIComponent(one.email).replace("%40", "@")}`, one.email, t("copy.email")),
        one.phone ? reach(`tel:${one.phone.replace(/[^+\d]/g, "")}`, one.phone, t("copy.phone")) : null,
      ),
    );
  });
  const edit = h("span", { class: "toggle" }, may("act") && company ? [
    h("button", { type: "button", onclick: () => editCompany(company, after) }, t("edit")),
    h("button", { type: "button", onclick: () => mergeCompany(lead.domain, after) }, t("merge")),
  ] : null);
  return section(
    t("section.who"),
    edit,
    detail.merged_from ? h("p", { class: "muted small" }, t("merged_from", { domain: detail.merged_from })) : null,
    contacts.length > 0 ? h("ul", null, people) : h("p", { class: "muted" }, t("contacts.none")),
    h(
      "dl",
      { class: "pairs small" },
      pair(t("field.website"), company?.website ? external(/^https?:/i.test(company.website) ? company.website : `https://${company.website}`, company.website) : null),
      pair(t("field.phone"), company?.phone),
      pair(t("field.name_from"), company ? words.source(company.name_source) : null),
      pair(t("field.first_seen"), company ? moment(company.first_seen_at, dateTime) : null),
      pair(t("field.edited"), edited.length > 0 ? edited.map((name) => word(`field.${name}`, name)).join(", ") : null),
    ),
  );
}

/**
 * @param {string} name
 * @param {import("../dom.js").Child} value
 */
function pair(name, value) {
  return value ? [h("dt", null, name), h("dd", null, value)] : [];
}

/** @param {LeadDetail} detail */
function historySection(detail) {
  /** @type {{at: string, what: import("../dom.js").Children}[]} */
  const happened = [
    ...detail.score_history.map((one) => ({ at: one.at, what: t("history.score", { score: one.score, priority: one.priority }) })),
    ...detail.scan_changes.map((one) => ({
      at: one.at,
      what: t("history.scan", { what: word(`scan_change.${one.kind}`, one.kind), old: words.scanned(one.kind, one.old), new: words.scanned(one.kind, one.new) }),
    })),
    ...detail.referrals.flatMap((referral) =>
      (referral.actions ?? []).map((one) => ({
        at: one.at,
        what: t("history.action", { action: word(`action.${one.action}`, one.action), who: words.who(one.requested_by), state: word(`action_state.${one.state}`, one.state) }),
      })),
    ),
    ...detail.dynamics.history.map((one) => ({
      at: one.at,
      what: t("history.crm", {
        table: words.table(one.table),
        operation: word(`operation.${one.operation}`, one.operation),
        outcome: word(`outcome.${one.outcome}`, one.outcome),
        actor: words.who(one.actor),
      }),
    })),
  ];
  for (const one of detail.merges ?? []) {
    happened.push({ at: one.at, what: [t("history.merge", { domain: one.loser, who: words.who(one.by) }), may("act") ? [" ", undoMerge(one.id, one.loser)] : null].flat() });
  }
  if (detail.company) happened.push({ at: detail.company.first_seen_at, what: t("history.first_seen", { source: words.source(detail.lead.source) }) });
  happened.sort((a, b) => b.at.localeCompare(a.at));
  const first = happened.slice(0, 8);
  const rest = happened.slice(8);
  const rows = /** @param {typeof happened} some */ (some) => some.map((one) => h("li", null, moment(one.at), h("span", null, one.what)));
  return section(
    t("section.history"),
    null,
    h("ul", { class: "timeline" }, rows(first)),
    rest.length > 0 ? h("details", { class: "fold", "data-name": "history" }, h("summary", null, t("history.more", { n: rest.length })), h("ul", { class: "timeline" }, rows(rest))) : null,
  );
}

customElements.define("hunter-lead", LeadDrawer);
