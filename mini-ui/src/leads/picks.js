// Leads picked in the list, and what is done to all of them at once.
import { change } from "../api.js";
import { h } from "../dom.js";
import { number } from "../format.js";
import { t } from "../i18n.js";
import { confirmDialog, popoverFrom } from "../overlays.js";
import { howMany } from "../parts/list.js";
import { route } from "../router.js";
import { may } from "../status.js";
import { filterWords } from "./filter-bar.js";
import { exportMenu } from "./menus.js";
import { filtersOf } from "./query.js";

/** @typedef {import("../api-types").Lead} Lead */
/**
 * @typedef {{room: HTMLElement, list: import("../parts/list.js").List<Lead>, jobs: import("./bulk.js").BulkJobs,
 *   total: () => {count: number, exact: boolean}}} Of
 */

export class Picks {
  element = h("div", { class: "bulk", hidden: true, role: "region", "aria-label": t("picked.region") });
  /** @type {Set<string>} */
  #keys = new Set();
  /** Every lead that the filters find, shown or not. */
  #everything = false;
  #of;

  /** @param {Of} of */
  constructor(of) {
    this.#of = of;
  }

  get any() {
    return this.#keys.size > 0;
  }

  /**
   * @param {string} key
   * @param {boolean} on
   */
  pick(key, on) {
    if (on) this.#keys.add(key);
    else this.#keys.delete(key);
    this.#everything = false;
    this.draw();
  }

  /** @param {boolean} on */
  page(on) {
    for (const lead of this.#of.list.rows) {
      if (on) this.#keys.add(lead.domain);
      else this.#keys.delete(lead.domain);
    }
    this.#everything = false;
    this.draw();
  }

  clear() {
    this.#keys.clear();
    this.#everything = false;
    this.draw();
  }

  toggle() {
    const key = this.#of.list.focused ?? route().id;
    if (key) this.pick(key, !this.#keys.has(key));
  }

  draw() {
    const count = this.#keys.size;
    this.#of.list.pick(this.#keys);
    this.#of.room.classList.toggle("picking", count > 0);
    this.element.hidden = count === 0;
    if (count === 0) return;
    const held = this.element.contains(document.activeElement);
    const n = this.#everything ? this.#of.total().count : count;
    const shownTotal = howMany(this.#of.total().count, this.#of.total().exact);
    const canAll = !this.#everything && this.#of.total().count > count;
    const forbidden = !may("act");
    this.element.replaceChildren(
      h("span", { class: "strong", role: "status" }, t("picked", { n, total: this.#everything ? shownTotal : number(count) })),
      ...(canAll
        ? [h("button", { type: "button", class: "link", onclick: () => ((this.#everything = true), this.draw()) }, t("pick_all", { total: shownTotal }))]
        : []),
      h("button", { type: "button", class: "button small primary", disabled: forbidden, onclick: () => this.#bulk("push") }, t("bulk.push")),
      h("button", { type: "button", class: "button small", disabled: forbidden, onclick: () => this.#bulk("rescan") }, t("bulk.rescan")),
      this.#exporting(shownTotal),
      h("button", { type: "button", class: "link", onclick: () => this.clear() }, t("unpick")),
      ...(forbidden ? [h("span", { class: "muted small" }, t("role.viewer"))] : []),
    );
    if (held) this.element.querySelector("button")?.focus();
  }

  /** @param {string} total */
  #exporting(total) {
    const button = h("button", { type: "button", class: "button small" }, t("export"));
    popoverFrom(button, (close) => [this.#everything ? exportMenu(close, total) : exportMenu(close, number(this.#keys.size), [...this.#keys])], { name: t("export") });
    return button;
  }

  /** @param {"push" | "rescan"} action */
  #bulk(action) {
    const n = this.#everything ? this.#of.total().count : this.#keys.size;
    const total = this.#everything ? howMany(n, this.#of.total().exact) : number(n);
    const filters = filterWords(route().params);
    const body = this.#everything ? { action, filter: typed(filtersOf(route().params)) } : { action, domains: [...this.#keys] };
    confirmDialog({
      title: t(action === "push" ? "bulk.push.title" : "bulk.rescan.title", { n, total }),
      content: h(
        "div",
        { class: "stack" },
        h("p", null, t(action === "push" ? "bulk.push.what" : "bulk.rescan.what")),
        this.#everything ? h("p", { class: "muted" }, filters.length > 0 ? t("bulk.by_filter", { filter: filters.join("; ") }) : t("bulk.by_all")) : null,
      ),
      deed: t(action === "push" ? "bulk.push" : "bulk.rescan"),
      run: async () => {
        /** @type {import("../api-types").Bulk} */
        const job = await change("POST", "/dynamics/bulk-sync", body);
        this.clear();
        this.#of.jobs.add(job);
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
