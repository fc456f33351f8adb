// The referrals inbox: what Partner Center sent, what it is linked to, and the answers it waits for.
import { change, get, movedOn } from "../api.js";
import { Part, h } from "../dom.js";
import { day, moment, number } from "../format.js";
import { t, word } from "../i18n.js";
import { offer } from "../keys.js";
import { live } from "../live.js";
import { plain } from "../overlays.js";
import { chip, searchBox } from "../parts/filters.js";
import { Side } from "../parts/side.js";
import { pageBefore, turned } from "../parts/trail.js";
import { List, failure, howMany, nothing } from "../parts/list.js";
import "../parts/sync.js";
import { address, go, route } from "../router.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import { referralFacts } from "../lead/referrals.js";
import { deedButton, reach, section } from "../lead/pieces.js";
import * as words from "../words.js";
import { head } from "./head.js";

/** @typedef {import("../api-types").Referral} Referral */
/** @typedef {import("../api-types").ReferralDetail} ReferralDetail */

const FILTERS = ["q", "category", "status", "link", "expiring_days", "stage", "company_domain"];
class Referrals extends Part {
  begin() {
    /** @type {string} */
    this.asked = "";
    /** @type {AbortController | null} */
    this.asking = null;
    this.list = new List({
      name: t("room.referrals"),
      columns: columns(),
      key: (/** @type {Referral} */ one) => one.id,
      empty: () => this.empty(),
      retry: () => this.load(),
      opens: (one) => address("referrals", one.id, new URLSearchParams(location.search)),
      sorted: (sort, order) => this.set({ sort, order }),
      turned: (cursor) => {
        turned(this.trail(), this.query().cursor ?? "", cursor);
        this.set({ cursor }, { keepPage: true });
      },
    });
    this.search = searchBox({ label: t("search.referrals"), value: route().params.get("q") ?? "", changed: (q) => this.set({ q }, { replace: true }) });
    this.chips = h("span", { class: "row-of" });
    this.count = h("span", { class: "muted", role: "status" });
    this.detail = new Detail(new Side(() => this.close(), this.signal), () => this.load(true));
    this.replaceChildren(
      head(t("room.referrals")),
      h("div", { class: "toolbar", role: "search" }, h("div", { class: "row-of" }, this.search.element, this.chips), h("span", { class: "end" }, document.createElement("hunter-sync"))),
      h("div", { class: "count-line" }, this.count),
      h("div", { class: "split" }, h("section", { class: "pane", "aria-label": t("room.referrals") }, this.list.element), this.detail.side.element),
    );
    let due = 0;
    const soon = () => {
      clearTimeout(due);
      due = setTimeout(() => this.load(true), 700);
    };
    for (const kind of ["leads_changed", "stage_finished", "gap"]) this.hears(live, kind, soon);
    this.signal.addEventListener("abort", () => {
      this.asking?.abort();
      this.detail?.hide();
    });
    offer({
      step: (by) => this.list?.step(by),
      search: () => this.search?.input.select(),
      filter: () => this.chips?.querySelector("button")?.click(),
      back: () => {
        if (route().id === null) return false;
        this.close();
        return true;
      },
      turn: (by) => this.list?.turn(by),
    });
    this.routed();
  }

  routed() {
    document.title = `${t("room.referrals")} · Hunter`;
    const { id, params } = route();
    const q = params.get("q") ?? "";
    if (this.search && document.activeElement !== this.search.input && this.search.input.value.trim() !== q) this.search.input.value = q;
    this.drawChips();
    const query = this.query();
    this.list?.setOrder(query.sort, query.order);
    const asked = JSON.stringify(query);
    if (asked !== this.asked) {
      this.asked = asked;
      void this.load();
    }
    const before = this.list?.open ?? null;
    this.list?.mark(id);
    if (id === null) {
      const had = this.detail?.hide() ?? false;
      if (had && before !== null && !this.list?.focusRow(before)) this.querySelector("h1")?.focus({ preventScroll: true });
    } else this.detail?.show(id);
  }

  query() {
    const { params } = route();
    /** @type {Record<string, string>} */
    const query = {};
    for (const name of FILTERS) {
      const value = params.get(name);
      if (value) query[name] = value;
    }
    const order = /** @type {"asc" | "desc"} */ (params.get("order") === "asc" ? "asc" : params.get("sort") && params.get("order") !== "desc" ? "asc" : "desc");
    return { ...query, sort: params.get("sort") ?? "updated_at", order, cursor: params.get("cursor") ?? "" };
  }

  /** The list without its page. */
  trail() {
    return `referrals ${JSON.stringify({ ...this.query(), cursor: "" })}`;
  }

  /**
   * @param {Record<string, string>} values
   * @param {{replace?: boolean, keepPage?: boolean}} [how]
   */
  set(values, { replace = false, keepPage = false } = {}) {
    const { id, params } = route();
    if (!keepPage) params.delete("cursor");
    for (const [name, value] of Object.entries(values)) {
      if (value) params.set(name, value);
      else params.delete(name);
    }
    go(address("referrals", id, params), { replace });
  }

  close() {
    go(address("referrals", null, new URLSearchParams(location.search)));
  }

  drawChips() {
    const { params } = route();
    const held = this.chips?.contains(document.activeElement);
    const one = /** @param {string} name @param {string} label @param {string[]} values @param {(value: string) => string} shown @param {boolean} [single] */ (name, label, values, shown, single = false) =>
      chip({ name, label, value: params.get(name) ?? "", shown, one: single, changed: (value) => this.set({ [name]: value }), choices: () => values.map((value) => ({ value, label: shown(value) })) });
    const expiring = params.get("expiring_days");
    const stage = params.get("stage");
    const filtered = FILTERS.some((name) => params.get(name));
    this.chips?.replaceChildren(
      one("link", t("filter.link"), ["needs_domain", "linked"], (value) => t(value === "linked" ? "link.linked" : "link.needs_domain"), true),
      one("status", t("filter.status"), ["New", "Active", "Closed"], (value) => words.referralStatus(value)),
      one("category", t("filter.type"), ["co_sell", "marketplace", "solution_provider", "private_deal", "partner_led", "other"], (value) => words.category(value)),
      ...(expiring
        ? [h("span", { class: "chip active" }, h("button", { type: "button", onclick: () => this.set({ expiring_days: "" }) }, t("chip", { name: t("filter.expiring"), value: t("filter.days", { n: Number(expiring) }) })), h("button", { type: "button", "aria-label": t("chip.remove", { name: t("filter.expiring") }), onclick: () => this.set({ expiring_days: "" }) }, "×"))]
        : []),
      ...(stage ? [one("stage", t("filter.stage"), ["pushed", "accepted", "won"], (value) => word(`funnel.${value}`, value), true)] : []),
      ...(filtered ? [h("button", { type: "button", class: "link", onclick: () => this.clear() }, t("clear_all"))] : []),
    );
    if (held && document.activeElement === document.body) this.chips?.querySelector("button")?.focus();
  }

  clear() {
    if (this.search) this.search.input.value = "";
    this.set(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  }

  empty() {
    if (FILTERS.some((name) => route().params.get(name))) {
      return nothing(t("referrals.empty.filtered"), t("referrals.empty.filtered.what"), h("button", { type: "button", class: "button", onclick: () => this.clear() }, t("clear_all")));
    }
    return nothing(t("referrals.empty"), t("referrals.empty.what"));
  }

  /** @param {boolean} [quiet] */
  async load(quiet = false) {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    if (!quiet) this.list?.loading();
    try {
      /** @type {{items: Referral[], total: number, total_exact?: boolean, next: string | null, previous: string | null}} */
      const page = await get("/referrals", { ...this.query(), limit: 50 }, asking.signal);
      const total = howMany(page.total, page.total_exact ?? true);
      this.list?.show({ ...page, previous: pageBefore(this.trail(), this.query().cursor ?? "") }, t("page.note", { shown: number(page.items.length), total }));
      this.list?.mark(route().id);
      if (this.count) this.count.textContent = t("referrals.count", { n: page.total, total });
    } catch (error) {
      if (movedOn(error)) return;
      if (error instanceof Error && "code" in error && error.code === "stale_cursor") this.set({ cursor: "" }, { replace: true });
      else if (!quiet) this.list?.fail(error, () => this.clear());
    }
  }
}

/** @returns {import("../parts/list.js").Column<Referral>[]} */
function columns() {
  return [
    {
      key: "company",
      label: t("column.company"),
      sort: "company_name",
      class: "lead-cell",
      cell: (one) =>
        h(
          "div",
          { class: "two" },
          h("a", { class: "main-line", href: address("referrals", one.id, new URLSearchParams(location.search)), "data-opens": true }, one.company_name || one.name || one.id),
          one.company_domain ? h("span", { class: "sub-line" }, one.domain_shown) : h("span", { class: "sub-line warn" }, t("link.needs_domain")),
        ),
    },
    { key: "kind", label: t("filter.type"), class: "d1", cell: (one) => words.category(one.category) },
    {
      key: "status",
      label: t("filter.status"),
      sort: "expires_at",
      cell: (one) => {
        const left = one.status === "New" && one.days_left !== null ? one.days_left : null;
        return words.twoLines(words.referralStatus(one.status, one.substatus), left === null ? null : words.daysLeft(left), left === null ? "" : words.urgency(left));
      },
    },
    { key: "deal", label: t("column.deal"), sort: "deal_value", down: true, end: true, class: "d2", cell: (one) => words.deal(one) },
    { key: "created", label: t("field.created"), sort: "created_at", down: true, class: "d4", cell: (one) => moment(one.created_at, day) },
    { key: "updated", label: t("field.updated"), sort: "updated_at", down: true, class: "d3", cell: (one) => moment(one.updated_at) },
  ];
}

/** One referral beside the list. */
class Detail {
  /**
   * @param {Side} side
   * @param {() => void} changed
   */
  constructor(side, changed) {
    this.side = side;
    this.changed = changed;
    /** @type {AbortController} */
    this.loading = new AbortController();
  }

  /** @param {string} id */
  show(id) {
    if (this.side.open(id)) void this.load();
  }

  /** Tells whether it had the focus. */
  hide() {
    this.loading.abort();
    return this.side.hide();
  }

  async load() {
    const id = this.side.id;
    if (id === null) return;
    this.loading.abort();
    this.loading = new AbortController();
    try {
      /** @type {ReferralDetail} */
      const detail = await get(`/referrals/${encodeURIComponent(id)}`, {}, this.loading.signal);
      this.draw(detail);
    } catch (error) {
      if (!movedOn(error)) this.side.fill(t("room.referrals"), [failure(error, () => this.load())]);
    }
  }

  /** @param {ReferralDetail} detail */
  draw(detail) {
    const after = () => {
      void this.load();
      this.changed();
    };
    const contact = detail.contact;
    this.side.fill(detail.company_name || detail.name, [
      h("section", { class: "section" }, ...referralFacts(detail, after)),
      contact
        ? section(
            t("section.who"),
            null,
            contact.name ? h("p", { class: "strong" }, contact.name) : null,
            h(
              "p",
              { class: "small address" },
              contact.email ? reach(`mailto:${encodeURIComponent(contact.email).replace("%40", "@")}`, contact.email, t("copy.email")) : null,
              contact.phone ? reach(`tel:${contact.phone.replace(/[^+\d]/g, "")}`, contact.phone, t("copy.phone")) : null,
            ),
          )
        : null,
      section(t("filter.link"), null, ...this.linkParts(detail, after)),
    ]);
  }

  /**
   * @param {ReferralDetail} detail
   * @param {() => void} after
   */
  linkParts(detail, after) {
    const told = h("p", { class: "bad", role: "alert", hidden: true });
    const failed = /** @param {unknown} error */ (error) => {
      if (movedOn(error)) return;
      told.textContent = plain(error);
      told.hidden = false;
    };
    const post = /** @param {string} what @param {Record<string, string>} body @param {string} said */ async (what, body, said) => {
      told.hidden = true;
      await change("POST", `/referrals/${encodeURIComponent(detail.id)}/${what}`, body);
      toast(said, { tone: "good" });
      after();
    };
    if (detail.company_domain) {
      return [
        h("p", null, h("a", { href: address("leads", detail.company_domain) }, detail.domain_shown), h("span", { class: "muted" }, ` · ${detail.linked_by === "auto" || !detail.linked_by ? t("referral.linked_auto") : t("referral.linked_by", { who: words.who(detail.linked_by) })}`)),
        told,
        may("act") ? h("div", null, deedButton(t("referral.unlink"), () => post("unlink", {}, t("referral.unlinked")), failed)) : null,
      ];
    }
    const box = h("div", { class: "stack" }, h("p", { class: "muted" }, t("loading")));
    const input = h("input", { class: "input", required: true, maxlength: 253, placeholder: "example.com", autocapitalize: "none", spellcheck: "false" });
    /** @type {HTMLFormElement} */
    const form = h(
      "form",
      { class: "stack" },
      h("label", { class: "field" }, h("span", { class: "label" }, t("field.domain")), input),
      h("div", { class: "row-of" }, h("button", { class: "button small primary", type: "submit" }, t("referral.link")), deedButton(t("referral.create"), async () => form.reportValidity() && post("create-lead", { domain: input.value.trim() }, t("referral.created", { domain: input.value.trim() })), failed)),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      post("link", { domain: input.value.trim() }, t("referral.linked", { domain: input.value.trim() })).catch(failed);
    });
    const linkButton = /** @param {{domain: string, domain_shown: string, name: string}} one */ (one) => {
      const button = deedButton(t("referral.link"), () => post("link", { domain: one.domain }, t("referral.linked", { domain: one.domain_shown })), failed);
      button.setAttribute("aria-label", `${t("referral.link")}: ${one.name}`);
      return button;
    };
    get(`/referrals/${encodeURIComponent(detail.id)}/suggestions`, {}, this.loading.signal).then(
      (answer) => {
        const { items } = /** @type {{items: {domain: string, domain_shown: string, name: string, country: string | null, similarity: number}[]}} */ (answer);
        box.replaceChildren(
          h("p", { class: "muted small" }, t(items.length > 0 ? "referral.suggestions" : "referral.suggestions.none")),
          h(
            "ul",
            null,
            items.map((one) =>
              h(
                "li",
                { class: "item line-pair" },
                h("span", null, h("span", { class: "strong" }, one.name), h("br"), h("span", { class: "muted small" }, `${one.domain_shown} · ${t("referral.similar", { n: Math.round(one.similarity) })}`)),
                may("act") ? linkButton(one) : null,
              ),
            ),
          ),
        );
      },
      (error) => movedOn(error) || box.replaceChildren(h("p", { class: "bad" }, plain(error))),
    );
    return [
      h("p", { class: "muted" }, t("referral.link.what")),
      detail.domain_rejected ? h("p", { class: "warn" }, t("referral.rejected_domain", { why: word(`domain_rejected.${detail.domain_rejected}`, detail.domain_rejected) })) : null,
      box,
      told,
      may("act") ? form : null,
    ];
  }
}

customElements.define("hunter-referrals", Referrals);
