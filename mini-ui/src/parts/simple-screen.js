// A room that is a heading, tabs and one list: the list follows the tab in the address.
import { get, movedOn } from "../api.js";
import { Part, h } from "../dom.js";
import { number } from "../format.js";
import { t } from "../i18n.js";
import { offer } from "../keys.js";
import { live } from "../live.js";
import { List } from "./list.js";
import { address, go, route } from "../router.js";
import { status, statuses } from "../status.js";
import { pageBefore, turned } from "./trail.js";
import { head } from "../screens/head.js";

/**
 * @typedef {{tab: string, label: import("../i18n.js").TextKey, count?: string, path: string, query?: Record<string, string>,
 *   columns: () => import("./list.js").Column<any>[], key: (row: any) => string, empty: () => HTMLElement,
 *   opens?: (row: any) => string, actions?: (screen: TabbedScreen) => HTMLElement[], what?: import("../i18n.js").TextKey}} Tab
 */

/**
 * An action on all rows: out of sight while there are none.
 * @template {HTMLElement} T
 * @param {T} button
 */
export function onRows(button) {
  button.dataset.needsRows = "";
  button.hidden = true;
  return button;
}

export class TabbedScreen extends Part {
  room = "";
  /** @type {import("../i18n.js").TextKey} */
  title = "loading";
  /** @returns {Tab[]} */
  tabs() {
    return [];
  }

  asked = "";
  /** @type {AbortController | null} */
  asking = null;
  /** @type {List<any> | null} */
  list = null;

  begin() {
    this.asked = "";
    this.tabBar = h("nav", { class: "tabs", "aria-label": t(this.title) });
    this.line = h("div", { class: "count-line" });
    this.box = h("section", { class: "pane" });
    this.split = h("div", { class: "split" }, this.box);
    this.replaceChildren(head(t(this.title)), this.tabBar, this.line, this.split);
    let due = 0;
    const soon = () => {
      clearTimeout(due);
      due = setTimeout(() => this.load(true), 600);
    };
    for (const kind of ["stage_started", "stage_progress", "stage_finished", "run_started", "run_finished", "leads_changed", "import_progress", "gap"]) this.hears(live, kind, soon);
    this.hears(statuses, "status", () => this.#drawTabs());
    this.signal.addEventListener("abort", () => this.asking?.abort());
    offer({
      step: (by) => this.list?.step(by),
      back: () => {
        if (route().id === null) return false;
        go(address(this.room, null, route().params));
        return true;
      },
      turn: (by) => this.list?.turn(by),
    });
    this.routed();
  }

  /** @returns {Tab} */
  tab() {
    const tabs = this.tabs();
    const wanted = route().params.get("tab");
    return /** @type {Tab} */ (tabs.find((one) => one.tab === wanted) ?? tabs[0]);
  }

  /** The tabs, with how much waits behind each. */
  #drawTabs() {
    const now = this.tab().tab;
    const counts = status()?.counts ?? {};
    const held = this.tabBar?.contains(document.activeElement) ?? false;
    this.tabBar?.replaceChildren(
      ...this.tabs().map((one) => {
        const waiting = one.count ? (counts[one.count] ?? 0) : 0;
        return h("a", { href: address(this.room, null, { tab: one.tab }), "aria-current": one.tab === now ? "page" : null }, t(one.label), waiting > 0 ? [" ", h("span", { class: "count" }, number(waiting))] : null);
      }),
    );
    const current = this.tabBar?.querySelector("[aria-current]");
    if (held && current instanceof HTMLElement) current.focus();
  }

  trail() {
    return `${this.room} ${this.tab().tab}`;
  }

  /** @param {string} cursor */
  turn(cursor) {
    const { id, params } = route();
    turned(this.trail(), params.get("cursor") ?? "", cursor);
    if (cursor) params.set("cursor", cursor);
    else params.delete("cursor");
    go(address(this.room, id, params));
  }

  routed() {
    document.title = `${t(this.title)} · Hunter`;
    const now = this.tab();
    const { id, params } = route();
    this.#drawTabs();
    const asked = `${now.tab} ${params.get("cursor") ?? ""}`;
    if (asked !== this.asked) {
      const same = this.asked.split(" ")[0] === now.tab;
      this.asked = asked;
      if (!same || !this.list) {
        this.list = new List({ name: t(now.label), columns: now.columns(), key: now.key, empty: now.empty, retry: () => this.load(), turned: (cursor) => this.turn(cursor), ...(now.opens ? { opens: now.opens } : {}) });
        this.box?.setAttribute("aria-label", t(now.label));
        this.box?.replaceChildren(this.list.element);
        this.line?.replaceChildren(...(now.what ? [h("span", { class: "muted" }, t(now.what))] : []), ...(now.actions?.(this) ?? []));
        if (this.line) this.line.hidden = this.line.childElementCount === 0;
      }
      void this.load();
    }
    this.list?.mark(id);
    this.opened(id);
  }

  /** Shows what is open beside the list. @param {string | null} _id */
  opened(_id) {}

  /** @param {boolean} [quiet] */
  async load(quiet = false) {
    const now = this.tab();
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    if (!quiet) this.list?.loading();
    try {
      /** @type {{items: any[], next?: string | null, previous?: string | null}} */
      const page = await get(now.path, { ...now.query, limit: 50, cursor: route().params.get("cursor") }, asking.signal);
      this.list?.show({ ...page, previous: pageBefore(this.trail(), route().params.get("cursor") ?? "") });
      this.list?.mark(route().id);
      for (const button of this.line?.children ?? []) {
        if (button instanceof HTMLElement && "needsRows" in button.dataset) button.hidden = page.items.length === 0;
      }
      if (this.line) this.line.hidden = [...this.line.children].every((one) => one instanceof HTMLElement && one.hidden);
    } catch (error) {
      if (movedOn(error)) return;
      if (error instanceof Error && "code" in error && error.code === "stale_cursor") this.turn("");
      else if (!quiet) this.list?.fail(error);
    }
  }
}
