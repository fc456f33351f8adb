// A table that knows loading, empty, failed and filled, sorts by its headings and turns pages.
import { freshId, h } from "../dom.js";
import { t } from "../i18n.js";
import { number } from "../format.js";
import { Problem } from "../api.js";
import { plain } from "../overlays.js";

/**
 * @template T
 * @typedef {{key: string, label: string, quiet?: boolean, sort?: string, down?: boolean, class?: string, end?: boolean,
 *   cell: (row: T) => import("../dom.js").Children}} Column
 */

const BONES = 8;

/**
 * @template T
 */
export class List {
  /**
   * @param {{name: string, columns: Column<T>[], key: (row: T) => string, empty: () => HTMLElement,
   *   retry: () => void, opens?: (row: T) => string, sorted?: (sort: string, order: "asc" | "desc") => void,
   *   turned?: (cursor: string) => void, picks?: (key: string, on: boolean) => void, picksAll?: (on: boolean) => void,
   *   pickName?: (row: T) => string}} how
   */
  constructor(how) {
    this.how = how;
    this.columns = how.columns;
    /** @type {T[]} */
    this.rows = [];
    /** @type {string | null} */
    this.open = null;
    /** @type {Set<string>} */
    this.picked = new Set();
    this.sort = "";
    /** @type {"asc" | "desc"} */
    this.order = "asc";
    /** @type {string | null | undefined} */
    this.next = null;
    /** @type {string | null | undefined} */
    this.previous = null;
    this.caption = freshId("list");
    this.head = h("thead", { role: "rowgroup" });
    this.body = h("tbody", { role: "rowgroup" });
    this.table = h("table", { class: "table", role: "table", "aria-labelledby": this.caption }, this.head, this.body);
    this.state = h("div", { hidden: true });
    this.paging = h("nav", { class: "paging", "aria-label": t("pages"), hidden: true });
    this.scroll = h(
      "div",
      { class: "table-scroll", role: "group", tabindex: 0, "aria-labelledby": this.caption },
      h("p", { class: "unseen", id: this.caption }, how.name),
      this.table,
      this.state,
      this.paging,
    );
    this.element = this.scroll;
    this.body.addEventListener("click", (event) => this.#clicked(event));
    for (const kind of ["pointerover", "focusin"]) this.body.addEventListener(kind, (event) => nameWhole(event.target));
  }

  /** @param {Column<T>[]} columns */
  setColumns(columns) {
    this.columns = columns;
    this.#drawHead();
    this.#drawRows();
  }

  /**
   * @param {string} sort
   * @param {"asc" | "desc"} order
   */
  setOrder(sort, order) {
    this.sort = sort;
    this.order = order;
    this.#drawHead();
  }

  loading() {
    this.table.setAttribute("aria-busy", "true");
    if (this.rows.length > 0) return;
    this.#drawHead();
    this.state.hidden = true;
    this.table.hidden = false;
    const cells = this.columns.length + (this.how.picks ? 1 : 0);
    this.body.replaceChildren(
      ...Array.from({ length: BONES }, (_, line) =>
        h(
          "tr",
          { class: "bones", "aria-hidden": "true" },
          Array.from({ length: cells }, (_cell, at) =>
            h("td", { class: this.#classOf(this.columns[at - (this.how.picks ? 1 : 0)]) }, at === 0 && this.how.picks ? null : h("span", { class: line % 3 ? "bone" : "bone short" })),
          ),
        ),
      ),
    );
  }

  /**
   * @param {{items: T[], next?: string | null, previous?: string | null}} page
   * @param {string} [note]
   */
  show(page, note = "") {
    this.table.removeAttribute("aria-busy");
    this.rows = page.items;
    this.next = page.next;
    this.previous = page.previous;
    const none = page.items.length === 0;
    this.table.hidden = none;
    this.state.hidden = !none;
    if (none) this.state.replaceChildren(this.how.empty());
    this.#drawHead();
    this.#drawRows();
    this.#drawPaging(note);
  }

  /**
   * @param {unknown} error
   * @param {() => void} [clear] takes the filters away, for when they are what is wrong
   */
  fail(error, clear) {
    this.table.removeAttribute("aria-busy");
    this.rows = [];
    this.body.replaceChildren();
    this.table.hidden = true;
    this.paging.hidden = true;
    this.state.hidden = false;
    this.state.replaceChildren(failure(error, this.how.retry, clear));
  }

  /** @param {string | null} key */
  mark(key) {
    this.open = key;
    for (const row of this.body.rows) {
      const isOpen = row.dataset.key === key;
      row.classList.toggle("open", isOpen);
      const link = row.querySelector("a[data-opens]");
      if (isOpen) link?.setAttribute("aria-current", "true");
      else link?.removeAttribute("aria-current");
    }
  }

  /** @param {Set<string>} picked */
  pick(picked) {
    this.picked = picked;
    for (const row of this.body.rows) {
      const on = picked.has(row.dataset.key ?? "");
      row.classList.toggle("picked", on);
      const box = row.querySelector("input[type=checkbox]");
      if (box instanceof HTMLInputElement) box.checked = on;
    }
    const all = this.head.querySelector("input[type=checkbox]");
    if (all instanceof HTMLInputElement) {
      const here = this.rows.filter((row) => picked.has(this.how.key(row))).length;
      all.checked = here > 0 && here === this.rows.length;
      all.indeterminate = here > 0 && here < this.rows.length;
    }
  }

  /**
   * Moves the focus to the row below or above; the first when none has it.
   * @param {1 | -1} by
   */
  step(by) {
    const links = [...this.body.querySelectorAll("a[data-opens]")];
    const at = links.findIndex((link) => link.closest("tr")?.contains(document.activeElement));
    const from = at === -1 ? links.findIndex((link) => link.closest("tr")?.classList.contains("open")) : at;
    const target = links[from === -1 ? 0 : Math.max(0, Math.min(links.length - 1, from + by))];
    if (target instanceof HTMLElement) {
      target.focus();
      target.closest("tr")?.scrollIntoView({ block: "nearest" });
    }
  }

  /**
   * Turns to the next page or the one before, where there is one.
   * @param {1 | -1} by
   */
  turn(by) {
    const cursor = by === 1 ? this.next : this.previous;
    if (isPage(cursor)) this.how.turned?.(cursor);
  }

  /** The key of the row that has the focus. */
  get focused() {
    const row = document.activeElement?.closest("tr");
    return row && this.body.contains(row) ? (row.dataset.key ?? null) : null;
  }

  /** @param {string} key */
  focusRow(key) {
    const row = [...this.body.rows].find((one) => one.dataset.key === key);
    const link = row?.querySelector("a[data-opens]") ?? row?.querySelector("a, button");
    if (link instanceof HTMLElement) link.focus();
    return link !== undefined && link !== null;
  }

  /** @param {Column<T> | undefined} column */
  #classOf(column) {
    return column ? `c-${column.key} ${column.class ?? ""} ${column.end ? "end" : ""}`.trim() : "tick";
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const target = event.target;
    if (!(target instanceof Element) || target.closest("a, button, input, label, summary, select")) return;
    if (getSelection()?.toString()) return;
    const link = target.closest("tr")?.querySelector("a[data-opens]");
    if (link instanceof HTMLElement) link.click();
  }

  #drawHead() {
    const focusedSort = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.sort : undefined;
    const cells = this.columns.map((column) => {
      const mine = column.sort !== undefined && column.sort === this.sort;
      const cell = h("th", {
        scope: "col",
        role: "columnheader",
        class: this.#classOf(column),
        "aria-sort": mine ? (this.order === "asc" ? "ascending" : "descending") : null,
      });
      if (!column.sort) {
        // A column of buttons or for the phone has its name for screen readers alone.
        cell.append(column.quiet ? h("span", { class: "unseen" }, column.label) : column.label);
        return cell;
      }
      cell.append(
        h(
          "button",
          { type: "button", "data-sort": column.sort, onclick: () => this.#sortBy(column) },
          column.label,
          mine ? h("span", { "aria-hidden": "true" }, this.order === "asc" ? " ↑" : " ↓") : null,
        ),
      );
      return cell;
    });
    if (this.how.picks) {
      const all = h("input", {
        type: "checkbox",
        "aria-label": t("pick_page"),
        onchange: /** @param {Event} event */ (event) =>
          this.how.picksAll?.(/** @type {HTMLInputElement} */ (event.target).checked),
      });
      cells.unshift(h("th", { scope: "col", role: "columnheader", class: "tick" }, h("label", { class: "tick-box" }, all)));
    }
    this.head.replaceChildren(h("tr", { role: "row" }, cells));
    if (focusedSort) {
      const again = this.head.querySelector(`button[data-sort="${CSS.escape(focusedSort)}"]`);
      if (again instanceof HTMLElement) again.focus();
    }
    this.pick(this.picked);
  }

  /** @param {Column<T>} column */
  #sortBy(column) {
    const first = column.down ? "desc" : "asc";
    const order = column.sort === this.sort ? (this.order === "asc" ? "desc" : "asc") : first;
    this.how.sorted?.(column.sort ?? "", order);
  }

  #drawRows() {
    const focused = this.focused;
    const held = focused !== null && document.activeElement instanceof HTMLElement ? nameOf(document.activeElement) : "";
    this.body.replaceChildren(
      ...this.rows.map((row) => {
        const key = this.how.key(row);
        const cells = this.columns.map((column) =>
          h("td", { role: "cell", class: this.#classOf(column), "data-label": column.quiet ? null : column.label }, column.cell(row)),
        );
        if (this.how.picks) {
          const box = h("input", {
            type: "checkbox",
            "aria-label": this.how.pickName?.(row) ?? key,
            checked: this.picked.has(key),
            onchange: /** @param {Event} event */ (event) =>
              this.how.picks?.(key, /** @type {HTMLInputElement} */ (event.target).checked),
          });
          cells.unshift(h("td", { role: "cell", class: "tick" }, h("label", { class: "tick-box" }, box)));
        }
        return h("tr", { role: "row", "data-key": key, class: this.how.opens ? "opens" : null }, cells);
      }),
    );
    this.mark(this.open);
    this.pick(this.picked);
    if (focused !== null) {
      const row = [...this.body.rows].find((one) => one.dataset.key === focused);
      const controls = /** @type {HTMLElement[]} */ ([...(row?.querySelectorAll("a, button, input") ?? [])]);
      const target = controls.find((one) => nameOf(one) === held) ?? row?.querySelector("a[data-opens]") ?? controls[0];
      if (target instanceof HTMLElement) target.focus({ preventScroll: true });
    }
  }

  /** @param {string} note */
  #drawPaging(note) {
    const turn = /** @param {string | null | undefined} cursor @param {string} label */ (cursor, label) =>
      h(
        "button",
        { type: "button", class: "button small", disabled: !isPage(cursor), onclick: () => isPage(cursor) && this.how.turned?.(cursor) },
        label,
      );
    this.paging.hidden = !this.how.turned || !(isPage(this.next) || isPage(this.previous));
    const held = document.activeElement instanceof HTMLElement && this.paging.contains(document.activeElement);
    this.paging.replaceChildren(
      h("span", null, note),
      h("span", { class: "row-of" }, turn(this.previous, t("page.previous")), turn(this.next, t("page.next"))),
    );
    if (held) {
      const buttons = [...this.paging.querySelectorAll("button")];
      (buttons.find((one) => !one.disabled) ?? this.scroll).focus?.();
    }
  }
}

/** @param {HTMLElement} control */
const nameOf = (control) => control.ariaLabel ?? control.textContent;

/**
 * Whether a cursor leads anywhere; the empty one leads to the first page.
 * @param {string | null | undefined} cursor
 * @returns {cursor is string}
 */
const isPage = (cursor) => cursor !== null && cursor !== undefined;

/**
 * Gives what is cut off on the screen its whole text as a title, and takes it away where there is room again.
 * @param {EventTarget | null} target
 */
function nameWhole(target) {
  if (!(target instanceof HTMLElement)) return;
  const box = target.closest(".main-line, .sub-line") ?? target.closest("td");
  if (!(box instanceof HTMLElement)) return;
  const cut = box.scrollWidth > box.clientWidth && getComputedStyle(box).textOverflow === "ellipsis";
  if (cut && !box.title) {
    box.title = box.textContent ?? "";
    box.dataset.whole = "";
  } else if (!cut && "whole" in box.dataset) {
    box.removeAttribute("title");
    delete box.dataset.whole;
  }
}

/**
 * @param {string} title
 * @param {string} what
 * @param {...HTMLElement} actions
 */
export function nothing(title, what, ...actions) {
  return h("div", { class: "empty" }, h("p", { class: "title" }, title), h("p", null, what), actions.length > 0 ? h("div", { class: "row-of" }, actions) : null);
}

/**
 * @param {unknown} error
 * @param {() => void} retry
 * @param {() => void} [clear]
 */
export function failure(error, retry, clear) {
  // What was asked for does not exist, as in an old bookmark: asking again brings the same answer.
  const wrong = clear !== undefined && error instanceof Problem && error.code === "invalid";
  return h(
    "div",
    { class: "empty", role: "alert" },
    h("p", { class: "title" }, t("failed.title")),
    h("p", null, plain(error)),
    h("button", { class: "button", type: "button", onclick: wrong ? clear : retry }, t(wrong ? "clear_all" : "retry")),
  );
}

/**
 * How many there are, "at least" where the server stopped counting.
 * @param {number} total
 * @param {boolean} [exact]
 */
export const howMany = (total, exact = true) => `${number(total)}${exact ? "" : "+"}`;
