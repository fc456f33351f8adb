// The leads room: what needs me today, the list with its filters, and the lead that is open.
import { apiAddress, change, get, movedOn } from "../api.js";
import { Part, h } from "../dom.js";
import { country, inOrder, number } from "../format.js";
import { language, t, word } from "../i18n.js";
import { keep, kept } from "../kept.js";
import { offer } from "../keys.js";
import { chooseColumns, allColumns, chosenColumns, EXPORTED, shownColumns } from "../leads/columns.js";
import { Tiles } from "../leads/tiles.js";
import { BulkJobs } from "../leads/bulk.js";
import { FILTERS, filtersOf, orderOf } from "../leads/query.js";
import { LeadDrawer } from "../lead/drawer.js";
import { live } from "../live.js";
import { confirmDialog, plain, popoverFrom } from "../overlays.js";
import { chip, searchBox } from "../parts/filters.js";
import { List, howMany, nothing } from "../parts/list.js";
import "../parts/sync.js";
import { address, go, route } from "../router.js";
import { head } from "./head.js";
import { may, status } from "../status.js";
import { toast } from "../toasts.js";
import { openNewLead } from "../lead/new.js";
import * as words from "../words.js";

/** @typedef {import("../api-types").Lead} Lead */
/** @typedef {import("../api-types").Facets} Facets */
/** @typedef {import("../api-types").View} View */
/** @typedef {{items: Lead[], total: number, total_exact: boolean, next: string | null, previous: string | null}} LeadPage */
/** @typedef {{name: import("../leads/query.js").FilterName, facet: string, label: string, shown: (value: string) => string}} FacetChip */

const NONE = "none";
const PAGE = 50;

class Leads extends Part {
  begin() {
    this.classList.add("leads");
    this.classList.toggle("compact", kept("density") === "compact");
    /** @type {Set<string>} */
    this.picked = new Set();
    this.everything = false;
    this.total = 0;
    this.totalExact = true;
    /** @type {string} */
    this.asked = "";
    /** @type {AbortController | null} */
    this.asking = null;
    this.list = new List({
      name: t("leads.list"),
      columns: shownColumns(),
      key: (/** @type {Lead} */ lead) => lead.domain,
      empty: () => this.empty(),
      retry: () => this.load(),
      opens: (lead) => address("leads", lead.domain, new URLSearchParams(location.search)),
      sorted: (sort, order) => this.set({ sort, order: order === "desc" ? "desc" : "" }),
      turned: (cursor) => this.set({ cursor }, { keepPage: true }),
      picks: (key, on) => this.pick(key, on),
      picksAll: (on) => this.pickPage(on),
      pickName: (lead) => t("pick", { name: lead.name }),
    });
    this.search = searchBox({
      label: t("search.leads"),
      value: route().params.get("q") ?? "",
      changed: (q) => this.set({ q }, { replace: true }),
    });
    this.tiles = /** @type {Tiles} */ (document.createElement("hunter-tiles"));
    this.chips = h("span", { class: "row-of" });
    this.count = h("span", { class: "muted", role: "status" });
    this.actions = h("span", { class: "row-of" });
    this.bulkBar = h("div", { class: "bulk", hidden: true, role: "region", "aria-label": t("picked.region") });
    this.jobs = /** @type {BulkJobs} */ (document.createElement("hunter-bulk"));
    this.drawer = /** @type {LeadDrawer} */ (document.createElement("hunter-lead"));
    this.drawer.hidden = true;
    this.replaceChildren(
      head(t("room.leads"), this.plotsButton()),
      this.tiles,
      h("div", { class: "toolbar", role: "search" }, this.search.element, this.chips, h("span", { class: "end row-of" }, document.createElement("hunter-sync"))),
      h("div", { class: "count-line" }, this.count, this.listActions()),
      h("div", { class: "split" }, h("section", { class: "pane", "aria-label": t("leads.list") }, this.jobs, this.bulkBar, this.list.element), this.drawer),
    );
    let due = 0;
    const soon = () => {
      clearTimeout(due);
      due = setTimeout(() => this.load(true), 700);
    };
    for (const kind of ["leads_changed", "gap"]) this.hears(live, kind, soon);
    this.hears(live, "connection", /** @param {CustomEvent<boolean>} event */ (event) => event.detail && soon());
    this.hears(this.drawer, "closed", () => this.close());
    this.hears(this.drawer, "changed", () => this.load(true));
    this.signal.addEventListener("abort", () => this.asking?.abort());
    offer({
      step: (by) => this.list?.step(by),
      toggle: () => this.toggleFocused(),
      search: () => this.search?.input.select(),
      filter: () => this.openFilter(),
      back: () => this.back(),
      turn: (by) => this.turn(by),
    });
    this.routed();
  }

  /** Follows the address. */
  routed() {
    const { id, params } = route();
    const q = params.get("q") ?? "";
    if (this.search && document.activeElement !== this.search.input && this.search.input.value.trim() !== q) this.search.input.value = q;
    const { sort, order } = orderOf(params);
    this.list?.setOrder(sort, order);
    this.drawChips();
    const asked = new URLSearchParams({ ...filtersOf(params), sort, order, cursor: params.get("cursor") ?? "" }).toString();
    if (asked !== this.asked) {
      this.asked = asked;
      this.unpick();
      void this.load();
    }
    this.showLead(id);
  }

  /** @param {string | null} domain */
  showLead(domain) {
    if (!this.drawer || !this.list) return;
    const before = this.list.open;
    this.list.mark(domain);
    document.title = `${t("room.leads")} · Hunter`;
    if (domain === null) {
      const had = !this.drawer.hidden && (this.drawer.contains(document.activeElement) || document.activeElement === document.body);
      this.drawer.hide();
      if (had && before !== null && !this.list.focusRow(before)) this.querySelector("h1")?.focus({ preventScroll: true });
    } else {
      this.drawer.show(domain);
    }
  }

  close() {
    go(address("leads", null, new URLSearchParams(location.search)));
  }

  back() {
    if (route().id !== null) {
      this.close();
      return true;
    }
    if (this.picked && this.picked.size > 0) {
      this.unpick();
      return true;
    }
    return false;
  }

  /**
   * Changes filters or order in the address; the rest follows from there.
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
    go(address("leads", id, params), { replace });
  }

  /** @param {1 | -1} by */
  turn(by) {
    const cursor = by === 1 ? this.list?.next : this.list?.previous;
    if (cursor) this.set({ cursor }, { keepPage: true });
  }

  /** @param {boolean} [quiet] the rows on screen stay until the new ones are there */
  async load(quiet = false) {
    const { params } = route();
    if (!this.list || !this.count) return;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    if (!quiet) this.list.loading();
    try {
      /** @type {LeadPage} */
      const page = await get(
        "/leads",
        { ...filtersOf(params), ...orderOf(params), limit: PAGE, cursor: params.get("cursor") },
        asking.signal,
      );
      this.total = page.total;
      this.totalExact = page.total_exact;
      this.list.show(page, t("page.note", { shown: number(page.items.length), total: howMany(page.total, page.total_exact) }));
      if (!quiet) this.list.scroll.scrollTop = 0;
      this.list.mark(route().id);
      const words_ = t("leads.count", { n: page.total, total: howMany(page.total, page.total_exact) });
      if (this.count.textContent !== words_) this.count.textContent = words_;
      this.drawBulk();
    } catch (error) {
      if (movedOn(error)) return;
      if (error instanceof Error && "code" in error && error.code === "stale_cursor") {
        this.set({ cursor: "" }, { replace: true });
        return;
      }
      if (quiet) return;
      this.count.textContent = "";
      this.list.fail(error);
    }
  }

  empty() {
    const filtered = Object.keys(filtersOf(route().params)).length > 0;
    if (filtered) {
      return nothing(
        t("empty.filtered"),
        t("empty.filtered.what"),
        h("button", { type: "button", class: "button", onclick: () => this.clear() }, t("clear_all")),
      );
    }
    return nothing(
      t("empty.leads"),
      t("empty.leads.what"),
      h("a", { class: "button", href: "/imports" }, t("empty.leads.import")),
      h("button", { type: "button", class: "button", onclick: () => openNewLead() }, t("new_lead")),
    );
  }

  clear() {
    const { id, params } = route();
    for (const name of [...FILTERS, "cursor"]) params.delete(name);
    if (this.search) this.search.input.value = "";
    go(address("leads", id, params));
  }

  // Filters

  /** @returns {FacetChip[]} */
  facetChips() {
    return [
      { name: "priority", facet: "priority", label: t("column.priority"), shown: (value) => (value === NONE ? t("priority.none") : value) },
      { name: "segment", facet: "commercial_segment", label: t("column.segment"), shown: (value) => (value === NONE ? t("none") : words.segment(value)) },
      { name: "referral_category", facet: "referral_category", label: t("column.referral"), shown: (value) => (value === NONE ? t("none.referral") : words.category(value)) },
      { name: "provider", facet: "provider", label: t("filter.provider"), shown: (value) => (value === NONE ? t("none") : words.provider(value)) },
      { name: "dynamics_state", facet: "dynamics_state", label: t("column.dynamics"), shown: (value) => words.dynamicsState(value) },
    ];
  }

  /** @returns {FacetChip[]} */
  moreFacets() {
    return [
      { name: "referral_status", facet: "referral_status", label: t("filter.referral_status"), shown: (value) => (value === NONE ? t("none.referral") : words.referralStatus(value)) },
      { name: "gateway", facet: "gateway", label: t("filter.gateway"), shown: (value) => (value === NONE ? t("none") : value) },
      { name: "country", facet: "country", label: t("column.country"), shown: (value) => (value === NONE ? t("none") : country(value)) },
      { name: "source", facet: "source", label: t("column.source"), shown: (value) => words.source(value) },
      { name: "technical_segment", facet: "technical_segment", label: t("column.technical"), shown: (value) => (value === NONE ? t("none") : words.technicalSegment(value)) },
    ];
  }

  drawChips() {
    if (!this.chips) return;
    const { params } = route();
    const focused = document.activeElement instanceof HTMLElement && this.chips.contains(document.activeElement);
    const facet = /** @param {FacetChip} of */ (of) => this.facetChip(of, params);
    const active = this.moreFacets().filter((of) => params.get(of.name));
    const plainChips = this.plainChips(params);
    const filtered = Object.keys(filtersOf(params)).length > 0;
    this.chips.replaceChildren(
      ...this.facetChips().map(facet),
      ...active.map(facet),
      ...plainChips,
      this.moreChip(),
      ...(filtered ? [h("button", { type: "button", class: "link", onclick: () => this.clear() }, t("clear_all"))] : []),
    );
    if (focused && document.activeElement === document.body) this.chips.querySelector("button")?.focus();
  }

  /**
   * @param {FacetChip} of
   * @param {URLSearchParams} params
   */
  facetChip(of, params) {
    return chip({
      ...of,
      value: params.get(of.name) ?? "",
      changed: (value) => this.set({ [of.name]: value }),
      choices: async () => {
        const { params: now } = route();
        /** @type {Facets} */
        const { facets } = await get("/leads/facets", filtersOf(now), this.signal);
        const values = (facets[of.facet] ?? []).map(({ value, count }) => ({ value: value ?? NONE, label: of.shown(value ?? NONE), count }));
        if (of.name === "priority") return values.sort((a, b) => inOrder(a.value, b.value));
        return values.sort((a, b) => b.count - a.count || inOrder(a.label, b.label));
      },
    });
  }

  /**
   * Active filters that are no choice from a list.
   * @param {URLSearchParams} params
   */
  plainChips(params) {
    const found = [];
    const [from, to] = [params.get("score_min"), params.get("score_max")];
    if (from || to) found.push(this.plainChip(t("column.score"), `${from ?? 0}–${to ?? 100}`, { score_min: "", score_max: "" }));
    const age = params.get("age_days");
    if (age) found.push(this.plainChip(t("filter.age"), t("filter.days", { n: Number(age) }), { age_days: "" }));
    const expiring = params.get("expiring_days");
    if (expiring) found.push(this.plainChip(t("filter.expiring"), t("filter.days", { n: Number(expiring) }), { expiring_days: "" }));
    const complete = params.get("complete");
    if (complete) found.push(this.plainChip(t("filter.complete"), complete === "true" ? t("yes") : t("no"), { complete: "" }));
    return found;
  }

  /**
   * @param {string} name
   * @param {string} value
   * @param {Record<string, string>} without
   */
  plainChip(name, value, without) {
    return h(
      "span",
      { class: "chip active" },
      h("button", { type: "button", "data-chip": "more", onclick: () => this.openMore() }, t("chip", { name, value })),
      h("button", { type: "button", "aria-label": t("chip.remove", { name }), onclick: () => this.set(without) }, "×"),
    );
  }

  openMore() {
    const button = this.chips?.querySelector("[data-more]");
    if (button instanceof HTMLElement) button.click();
  }

  openFilter() {
    const first = this.chips?.querySelector("button");
    if (first instanceof HTMLElement) first.click();
  }

  moreChip() {
    const button = h("button", { type: "button", "data-chip": "more", "data-more": true }, t("filter.more"));
    popoverFrom(button, () => this.moreFilters(), { name: t("filter.more"), wide: true, onclose: () => this.drawChips() });
    return h("span", { class: "chip" }, button);
  }

  moreFilters() {
    const { params } = route();
    const numberField = /** @param {string} name @param {string} label @param {number} most */ (name, label, most) => {
      const input = h("input", { class: "input", type: "number", min: 0, max: most, inputmode: "numeric", value: params.get(name) ?? "" });
      input.addEventListener("change", () => input.validity.valid && this.set({ [name]: input.value }));
      return h("label", { class: "field" }, h("span", { class: "label" }, label), input);
    };
    const incomplete = h("input", { type: "checkbox", checked: params.get("complete") === "false" });
    incomplete.addEventListener("change", () => this.set({ complete: incomplete.checked ? "false" : "" }));
    const needs = status()?.counts.needs_domain ?? 0;
    const picker = h("div", { class: "menu-group" });
    for (const of of this.moreFacets()) picker.append(this.facetSelect(of, params));
    return [
      h(
        "div",
        { class: "menu-group" },
        h("div", { class: "what-if" }, numberField("score_min", t("filter.score_min"), 100), numberField("score_max", t("filter.score_max"), 100)),
        h("div", { class: "what-if" }, numberField("age_days", t("filter.age_within"), 3650), numberField("expiring_days", t("filter.expiring_within"), 365)),
      ),
      picker,
      h(
        "div",
        { class: "menu-group" },
        h("label", { class: "menu-row" }, incomplete, t("filter.incomplete")),
        h("a", { class: "menu-row", href: "/referrals?link=needs_domain" }, t("filter.needs_domain"), h("span", { class: "count" }, number(needs))),
      ),
    ];
  }

  /**
   * @param {FacetChip} of
   * @param {URLSearchParams} params
   */
  facetSelect(of, params) {
    const value = params.get(of.name) ?? "";
    const select = h("select", null, h("option", { value: "" }, t("any")));
    if (value) select.append(h("option", { value }, value.split(",").map(of.shown).join(", ")));
    select.value = value;
    select.addEventListener("change", () => this.set({ [of.name]: select.value }));
    get("/leads/facets", filtersOf(params), this.signal).then(
      (answer) => {
        const { facets } = /** @type {Facets} */ (answer);
        for (const one of facets[of.facet] ?? []) {
          const code = one.value ?? NONE;
          if (code !== value) select.append(h("option", { value: code }, `${of.shown(code)} (${number(one.count)})`));
        }
      },
      () => undefined,
    );
    return h("label", { class: "field" }, h("span", { class: "label" }, of.label), select);
  }

  // The line above the list

  plotsButton() {
    const button = h("button", { type: "button", class: "link small", "aria-expanded": kept("plots") === "open" ? "true" : "false" }, kept("plots") === "open" ? t("tiles.less") : t("tiles.more"));
    button.addEventListener("click", () => {
      this.tiles?.toggle();
      const open = this.tiles?.open ?? false;
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? t("tiles.less") : t("tiles.more");
    });
    return button;
  }

  listActions() {
    const views = h("button", { type: "button", class: "link" }, t("views"));
    popoverFrom(views, (close) => [this.viewsMenu(close)], { name: t("views") });
    const save = h("button", { type: "button", class: "link", onclick: () => this.saveView() }, t("view.save"));
    const columns = h("button", { type: "button", class: "link" }, t("columns"));
    popoverFrom(columns, () => this.columnsMenu(), { name: t("columns") });
    const download = h("button", { type: "button", class: "link" }, t("export"));
    popoverFrom(download, (close) => [this.exportMenu(close)], { name: t("export") });
    const add = h("button", { type: "button", class: "link", onclick: () => openNewLead() }, t("new_lead"));
    return [save, views, columns, download, add];
  }

  columnsMenu() {
    const chosen = new Set(chosenColumns());
    const boxes = allColumns()
      .filter((column) => column.key !== "phone" && column.key !== "company")
      .map((column) =>
        h(
          "label",
          { class: "menu-row" },
          h("input", {
            type: "checkbox",
            checked: chosen.has(column.key),
            onchange: /** @param {Event} event */ (event) => {
              if (/** @type {HTMLInputElement} */ (event.target).checked) chosen.add(column.key);
              else chosen.delete(column.key);
              chooseColumns(["company", ...chosen]);
              this.list?.setColumns(shownColumns());
            },
          }),
          column.label,
        ),
      );
    const dense = h("input", { type: "checkbox", checked: this.classList.contains("compact") });
    dense.addEventListener("change", () => {
      this.classList.toggle("compact", dense.checked);
      keep("density", dense.checked ? "compact" : null);
    });
    return [
      h("fieldset", null, h("legend", { class: "unseen" }, t("columns")), boxes),
      h("div", { class: "menu-group" }, h("label", { class: "menu-row" }, dense, t("density.compact"))),
      h(
        "button",
        {
          type: "button",
          class: "menu-row link",
          onclick: () => {
            chooseColumns(null);
            this.list?.setColumns(shownColumns());
            for (const [at, column] of allColumns().filter((one) => one.key !== "phone" && one.key !== "company").entries()) {
              const box = boxes[at]?.querySelector("input");
              if (box) box.checked = chosenColumns().includes(column.key);
            }
          },
        },
        t("columns.usual"),
      ),
    ];
  }

  /** @param {() => void} close */
  exportMenu(close) {
    if (!may("export")) return h("p", { class: "menu-group muted" }, t("role.viewer"));
    const { params } = route();
    const columns = chosenColumns().flatMap((key) => EXPORTED[key] ?? []).join(",");
    const link = /** @param {string} kind @param {boolean} all */ (kind, all) =>
      h(
        "a",
        {
          class: "menu-row",
          download: "",
          href: apiAddress(`/leads/export.${kind}`, { ...filtersOf(params), ...orderOf(params), columns: all ? "" : columns, lang: language() }),
          onclick: () => {
            close();
            toast(t("export.started", { n: howMany(this.total ?? 0, this.totalExact) }));
          },
        },
        t(all ? "export.all" : "export.shown", { kind: kind.toUpperCase() }),
      );
    return h(
      "div",
      null,
      h("p", { class: "menu-group muted small" }, t("export.what", { n: howMany(this.total ?? 0, this.totalExact) })),
      link("xlsx", false),
      link("xlsx", true),
      link("csv", false),
      link("csv", true),
    );
  }

  saveView() {
    const params = route().params;
    params.delete("cursor");
    const input = h("input", { class: "input", required: true, maxlength: 80, value: "" });
    confirmDialog({
      title: t("view.save"),
      content: h("label", { class: "field" }, h("span", { class: "label" }, t("view.name")), input),
      deed: t("save"),
      run: async () => {
        await change("POST", "/views", { name: input.value.trim(), query: params.toString() });
        toast(t("view.saved", { name: input.value.trim() }), { tone: "good" });
      },
    });
    input.focus();
  }

  /** @param {() => void} close */
  viewsMenu(close) {
    const box = h("div", null, h("p", { class: "menu-group muted" }, t("loading")));
    const fill = async () => {
      try {
        /** @type {{items?: View[]} | View[]} */
        const answer = await get("/views", {}, this.signal);
        const views = Array.isArray(answer) ? answer : (answer.items ?? []);
        if (views.length === 0) box.replaceChildren(h("p", { class: "menu-group muted" }, t("views.none")));
        else box.replaceChildren(...views.sort((a, b) => inOrder(a.name, b.name)).map(viewRow));
        box.querySelector("a")?.focus();
      } catch (error) {
        if (!movedOn(error)) box.replaceChildren(h("p", { class: "menu-group bad" }, plain(error)));
      }
    };
    const viewRow = /** @param {View} view */ (view) =>
      h(
        "div",
        { class: "row-of" },
        h("a", { class: "menu-row", href: `/leads?${view.query}`, onclick: () => close() }, view.name),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": t("view.forget", { name: view.name }),
            onclick: async () => {
              await change("DELETE", `/views/${view.id}`).catch((error) => toast(plain(error), { tone: "bad" }));
              await fill();
            },
          },
          "×",
        ),
      );
    void fill();
    return box;
  }

  // Picking

  /**
   * @param {string} key
   * @param {boolean} on
   */
  pick(key, on) {
    if (on) this.picked?.add(key);
    else this.picked?.delete(key);
    this.everything = false;
    this.drawBulk();
  }

  /** @param {boolean} on */
  pickPage(on) {
    for (const lead of this.list?.rows ?? []) {
      if (on) this.picked?.add(lead.domain);
      else this.picked?.delete(lead.domain);
    }
    this.everything = false;
    this.drawBulk();
  }

  unpick() {
    this.picked?.clear();
    this.everything = false;
    this.drawBulk();
  }

  toggleFocused() {
    const key = this.list?.focused ?? route().id;
    if (key) this.pick(key, !this.picked?.has(key));
  }

  drawBulk() {
    if (!this.bulkBar || !this.picked || !this.list) return;
    const count = this.picked.size;
    this.list.pick(this.picked);
    this.classList.toggle("picking", count > 0);
    this.bulkBar.hidden = count === 0;
    if (count === 0) return;
    const held = this.bulkBar.contains(document.activeElement);
    const n = this.everything ? (this.total ?? 0) : count;
    const shownTotal = howMany(this.total ?? 0, this.totalExact);
    const canAll = !this.everything && (this.total ?? 0) > count;
    const forbidden = !may("act");
    this.bulkBar.replaceChildren(
      h("span", { class: "strong", role: "status" }, t("picked", { n, total: this.everything ? shownTotal : number(count) })),
      ...(canAll
        ? [h("button", { type: "button", class: "link", onclick: () => ((this.everything = true), this.drawBulk()) }, t("pick_all", { total: shownTotal }))]
        : []),
      h("button", { type: "button", class: "button small primary", disabled: forbidden, onclick: () => this.bulk("push") }, t("bulk.push")),
      h("button", { type: "button", class: "button small", disabled: forbidden, onclick: () => this.bulk("rescan") }, t("bulk.rescan")),
      h("button", { type: "button", class: "link", onclick: () => this.unpick() }, t("unpick")),
    );
    if (held) this.bulkBar.querySelector("button")?.focus();
  }

  /** @param {"push" | "rescan"} action */
  bulk(action) {
    const n = this.everything ? (this.total ?? 0) : (this.picked?.size ?? 0);
    const total = this.everything ? howMany(n, this.totalExact) : number(n);
    const filters = Object.entries(filtersOf(route().params)).map(([name, value]) => `${word(`filter_name.${name}`, name)}: ${value}`);
    const body = this.everything ? { action, filter: typed(filtersOf(route().params)) } : { action, domains: [...(this.picked ?? [])] };
    confirmDialog({
      title: t(action === "push" ? "bulk.push.title" : "bulk.rescan.title", { n, total }),
      content: h(
        "div",
        { class: "stack" },
        h("p", null, t(action === "push" ? "bulk.push.what" : "bulk.rescan.what")),
        this.everything ? h("p", { class: "muted" }, filters.length > 0 ? t("bulk.by_filter", { filter: filters.join("; ") }) : t("bulk.by_all")) : null,
      ),
      deed: t(action === "push" ? "bulk.push" : "bulk.rescan"),
      run: async () => {
        /** @type {import("../api-types").Bulk} */
        const job = await change("POST", "/dynamics/bulk-sync", body);
        this.unpick();
        this.jobs?.add(job);
      },
    });
  }
}

/**
 * Filters of the address as the body of a request holds them.
 * @param {Record<string, string>} filters
 */
function typed(filters) {
  /** @type {Record<string, string | number | boolean>} */
  const body = {};
  for (const [name, value] of Object.entries(filters)) {
    body[name] = name === "complete" ? value === "true" : /^(score|age|expiring)_/.test(name) ? Number(value) : value;
  }
  return body;
}

customElements.define("hunter-leads", Leads);
