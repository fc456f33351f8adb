// The leads room: what needs me today, the list with its filters, and the lead that is open.
import { get, movedOn } from "../api.js";
import { Part, h } from "../dom.js";
import { number } from "../format.js";
import { t } from "../i18n.js";
import { kept } from "../kept.js";
import { offer } from "../keys.js";
import { LeadDrawer } from "../lead/drawer.js";
import { openNewLead } from "../lead/new.js";
import { BulkJobs } from "../leads/bulk.js";
import { shownColumns } from "../leads/columns.js";
import { FilterBar } from "../leads/filter-bar.js";
import { columnsMenu, exportMenu } from "../leads/menus.js";
import { Picks } from "../leads/picks.js";
import { FILTERS, filtersOf, orderOf } from "../leads/query.js";
import { Tiles } from "../leads/tiles.js";
import { saveView, viewsMenu } from "../leads/views.js";
import { live } from "../live.js";
import { popoverFrom } from "../overlays.js";
import { searchBox } from "../parts/filters.js";
import { List, howMany, nothing } from "../parts/list.js";
import "../parts/sync.js";
import { address, go, route } from "../router.js";
import { may } from "../status.js";
import { head } from "./head.js";

/** @typedef {import("../api-types").Lead} Lead */
/** @typedef {{items: Lead[], total: number, total_exact: boolean, next: string | null, previous: string | null}} LeadPage */

const PAGE = 50;

class Leads extends Part {
  begin() {
    this.classList.add("leads");
    this.classList.toggle("compact", kept("density") === "compact");
    this.total = 0;
    this.totalExact = true;
    /** @type {string} */
    this.asked = "";
    /** @type {AbortController | null} */
    this.asking = null;
    /** @type {List<Lead>} */
    this.list = new List({
      name: t("leads.list"),
      columns: shownColumns(),
      key: (/** @type {Lead} */ lead) => lead.domain,
      empty: () => this.empty(),
      retry: () => this.load(),
      opens: (lead) => address("leads", lead.domain, new URLSearchParams(location.search)),
      sorted: (sort, order) => this.set({ sort, order: order === "desc" ? "desc" : "" }),
      turned: (cursor) => this.set({ cursor }, { keepPage: true }),
      picks: (key, on) => this.picks?.pick(key, on),
      picksAll: (on) => this.picks?.page(on),
      pickName: (lead) => t("pick", { name: lead.name }),
    });
    this.search = searchBox({
      label: t("search.leads"),
      value: route().params.get("q") ?? "",
      changed: (q) => this.set({ q }, { replace: true }),
    });
    this.tiles = /** @type {Tiles} */ (document.createElement("hunter-tiles"));
    this.filters = new FilterBar({ set: (values) => this.set(values), clear: () => this.clear(), signal: this.signal });
    this.count = h("span", { class: "muted", role: "status" });
    this.jobs = /** @type {BulkJobs} */ (document.createElement("hunter-bulk"));
    /** @type {Picks} */
    this.picks = new Picks({ room: this, list: this.list, jobs: this.jobs, total: () => ({ count: this.total ?? 0, exact: this.totalExact ?? true }) });
    this.drawer = /** @type {LeadDrawer} */ (document.createElement("hunter-lead"));
    this.drawer.hidden = true;
    this.replaceChildren(
      head(t("room.leads"), this.plotsButton()),
      this.tiles,
      h("div", { class: "toolbar", role: "search" }, h("div", { class: "row-of" }, this.search.element, this.filters.element), h("span", { class: "end" }, document.createElement("hunter-sync"))),
      h("div", { class: "count-line" }, this.count, this.listActions()),
      h("div", { class: "split" }, h("section", { class: "pane", "aria-label": t("leads.list") }, this.jobs, this.picks.element, this.list.element), this.drawer),
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
      toggle: () => this.picks?.toggle(),
      search: () => this.search?.input.select(),
      filter: () => this.filters?.openFirst(),
      back: () => this.back(),
      turn: (by) => this.list?.turn(by),
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
    this.filters?.draw();
    const asked = new URLSearchParams({ ...filtersOf(params), sort, order, cursor: params.get("cursor") ?? "" }).toString();
    if (asked !== this.asked) {
      this.asked = asked;
      this.picks?.clear();
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
    if (this.picks?.any) {
      this.picks.clear();
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
      this.picks?.draw();
    } catch (error) {
      if (movedOn(error)) return;
      if (error instanceof Error && "code" in error && error.code === "stale_cursor") {
        this.set({ cursor: "" }, { replace: true });
        return;
      }
      if (quiet) return;
      this.count.textContent = "";
      this.list.fail(error, () => this.clear());
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
    if (!may("act")) return nothing(t("empty.leads"), t("role.viewer"));
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
    popoverFrom(views, (close) => [viewsMenu(close, this.signal)], { name: t("views") });
    const save = h("button", { type: "button", class: "link", onclick: () => saveView() }, t("view.save"));
    const columns = h("button", { type: "button", class: "link" }, t("columns"));
    popoverFrom(columns, () => columnsMenu(this, () => this.list?.setColumns(shownColumns())), { name: t("columns") });
    const download = h("button", { type: "button", class: "link" }, t("export"));
    popoverFrom(download, (close) => [exportMenu(close, howMany(this.total ?? 0, this.totalExact))], { name: t("export") });
    const add = h("button", { type: "button", class: "link", onclick: () => openNewLead() }, t("new_lead"));
    return [save, views, columns, download, ...(may("act") ? [add] : [])];
  }
}

customElements.define("hunter-leads", Leads);
