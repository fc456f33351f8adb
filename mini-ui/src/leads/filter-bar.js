// The chips above the list: what it is filtered by, and what else it could be.
import { get } from "../api.js";
import { h } from "../dom.js";
import { country, inOrder, number } from "../format.js";
import { t, word } from "../i18n.js";
import { popoverFrom } from "../overlays.js";
import { chip } from "../parts/filters.js";
import { route } from "../router.js";
import { status } from "../status.js";
import * as words from "../words.js";
import { filtersOf } from "./query.js";

/** @typedef {import("../api-types").Facets} Facets */
/** @typedef {{name: import("./query.js").FilterName, facet: string, label: string, shown: (value: string) => string}} FacetChip */
/** @typedef {{set: (values: Record<string, string>) => void, clear: () => void, signal: AbortSignal}} How */

const NONE = "none";

/** @returns {FacetChip[]} */
const facetChips = () => [
  { name: "priority", facet: "priority", label: t("column.priority"), shown: (value) => (value === NONE ? t("priority.none") : value) },
  { name: "segment", facet: "commercial_segment", label: t("column.segment"), shown: (value) => (value === NONE ? t("none") : words.segment(value)) },
  { name: "referral_category", facet: "referral_category", label: t("column.referral"), shown: (value) => (value === NONE ? t("none.referral") : words.category(value)) },
  { name: "provider", facet: "provider", label: t("filter.provider"), shown: (value) => (value === NONE ? t("none") : words.provider(value)) },
  { name: "dynamics_state", facet: "dynamics_state", label: t("column.dynamics"), shown: (value) => words.dynamicsState(value) },
];

/** @returns {FacetChip[]} */
const moreFacets = () => [
  { name: "referral_status", facet: "referral_status", label: t("filter.referral_status"), shown: (value) => (value === NONE ? t("none.referral") : words.referralStatus(value)) },
  { name: "gateway", facet: "gateway", label: t("filter.gateway"), shown: (value) => (value === NONE ? t("none") : value) },
  { name: "country", facet: "country", label: t("column.country"), shown: (value) => (value === NONE ? t("none") : country(value)) },
  { name: "source", facet: "source", label: t("column.source"), shown: (value) => words.source(value) },
  { name: "technical_segment", facet: "technical_segment", label: t("column.technical"), shown: (value) => (value === NONE ? t("none") : words.technicalSegment(value)) },
];

/**
 * The filters that are no choice from a list: what each is called, how it reads, and what takes it away.
 * @param {URLSearchParams} params
 */
function plainFilters(params) {
  /** @type {{name: string, value: string, without: Record<string, string>}[]} */
  const found = [];
  const [from, to] = [params.get("score_min"), params.get("score_max")];
  if (from || to) found.push({ name: t("column.score"), value: `${from ?? 0}–${to ?? 100}`, without: { score_min: "", score_max: "" } });
  const age = params.get("age_days");
  if (age) found.push({ name: t("filter.age"), value: t("filter.days_past", { n: Number(age) }), without: { age_days: "" } });
  const expiring = params.get("expiring_days");
  if (expiring) found.push({ name: t("filter.expiring"), value: t("filter.days", { n: Number(expiring) }), without: { expiring_days: "" } });
  const complete = params.get("complete");
  if (complete) found.push({ name: t("filter.complete"), value: complete === "true" ? t("yes") : t("no"), without: { complete: "" } });
  return found;
}

/**
 * All filters of an address as they are said in a sentence.
 * @param {URLSearchParams} params
 */
export function filterWords(params) {
  const q = params.get("q");
  const chosen = [...facetChips(), ...moreFacets()]
    .filter((of) => params.get(of.name))
    .map((of) => ({ name: of.label, value: (params.get(of.name) ?? "").split(",").map(of.shown).join(", ") }));
  return [...(q ? [{ name: t("filter.search"), value: q }] : []), ...chosen, ...plainFilters(params)].map((one) => t("chip", one));
}

export class FilterBar {
  element = h("span", { class: "row-of" });
  #how;

  /** @param {How} how */
  constructor(how) {
    this.#how = how;
  }

  /** Shows the filters of the address. */
  draw() {
    const { params } = route();
    const focused = document.activeElement instanceof HTMLElement && this.element.contains(document.activeElement);
    const facet = /** @param {FacetChip} of */ (of) => this.#facetChip(of, params);
    const active = moreFacets().filter((of) => params.get(of.name));
    const plainChips = plainFilters(params).map((one) => this.#plainChip(one.name, one.value, one.without));
    const filtered = Object.keys(filtersOf(params)).length > 0;
    this.element.replaceChildren(
      ...facetChips().map(facet),
      ...active.map(facet),
      ...plainChips,
      this.#moreChip(),
      ...(filtered ? [h("button", { type: "button", class: "link", onclick: () => this.#how.clear() }, t("clear_all"))] : []),
    );
    if (focused && document.activeElement === document.body) this.element.querySelector("button")?.focus();
  }

  /**
   * @param {FacetChip} of
   * @param {URLSearchParams} params
   */
  #facetChip(of, params) {
    return chip({
      ...of,
      value: params.get(of.name) ?? "",
      changed: (value) => this.#how.set({ [of.name]: value }),
      choices: async () => {
        const { params: now } = route();
        /** @type {Facets} */
        const { facets } = await get("/leads/facets", filtersOf(now), this.#how.signal);
        const values = (facets[of.facet] ?? []).map(({ value, count }) => ({ value: value ?? NONE, label: of.shown(value ?? NONE), count }));
        if (of.name === "priority") {
          const meaning = /** @param {string} value */ (value) => (value === NONE ? "" : word(`priority.${value}`, ""));
          return values.map((one) => ({ ...one, label: [one.label, meaning(one.value)].filter(Boolean).join(" · ") })).sort((a, b) => inOrder(a.value, b.value));
        }
        return values.sort((a, b) => b.count - a.count || inOrder(a.label, b.label));
      },
    });
  }

  /**
   * @param {string} name
   * @param {string} value
   * @param {Record<string, string>} without
   */
  #plainChip(name, value, without) {
    return h(
      "span",
      { class: "chip active" },
      h("button", { type: "button", "data-chip": "more", onclick: () => this.#openMore() }, t("chip", { name, value })),
      h("button", { type: "button", "aria-label": t("chip.remove", { name }), onclick: () => this.#how.set(without) }, "×"),
    );
  }

  #openMore() {
    const button = this.element.querySelector("[data-more]");
    if (button instanceof HTMLElement) button.click();
  }

  openFirst() {
    const first = this.element.querySelector("button");
    if (first instanceof HTMLElement) first.click();
  }

  #moreChip() {
    const button = h("button", { type: "button", "data-chip": "more", "data-more": true }, t("filter.more"));
    popoverFrom(button, () => this.#moreFilters(), { name: t("filter.more"), wide: true, onclose: () => this.draw() });
    return h("span", { class: "chip" }, button);
  }

  #moreFilters() {
    const { params } = route();
    const numberField = /** @param {string} name @param {string} label @param {number} most */ (name, label, most) => {
      const input = h("input", { class: "input", type: "number", min: 0, max: most, inputmode: "numeric", value: params.get(name) ?? "" });
      input.addEventListener("change", () => input.validity.valid && this.#how.set({ [name]: input.value }));
      return h("label", { class: "field" }, h("span", { class: "label" }, label), input);
    };
    const incomplete = h("input", { type: "checkbox", checked: params.get("complete") === "false" });
    incomplete.addEventListener("change", () => this.#how.set({ complete: incomplete.checked ? "false" : "" }));
    const needs = status()?.counts.needs_domain ?? 0;
    const picker = h("div", { class: "menu-group" });
    for (const of of moreFacets()) picker.append(this.#facetSelect(of, params));
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
  #facetSelect(of, params) {
    const value = params.get(of.name) ?? "";
    const select = h("select", null, h("option", { value: "" }, t("any")));
    if (value) select.append(h("option", { value }, value.split(",").map(of.shown).join(", ")));
    select.value = value;
    select.addEventListener("change", () => this.#how.set({ [of.name]: select.value }));
    get("/leads/facets", filtersOf(params), this.#how.signal).then(
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
}
