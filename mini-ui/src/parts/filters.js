// Filters as chips: a chip says what it filters by; an active one carries its value and a ×.
import { h, icon } from "../dom.js";
import { number } from "../format.js";
import { t } from "../i18n.js";
import { popoverFrom } from "../overlays.js";

/**
 * @typedef {{name: string, label: string, value: string, choices: () => Promise<Choice[]> | Choice[],
 *   one?: boolean, shown: (value: string) => string, changed: (value: string) => void}} ChipOf
 * @typedef {{value: string, label: string, count?: number}} Choice
 */

const SHOWN_VALUES = 2;

/** @param {ChipOf} of */
export function chip(of) {
  const values = of.value ? of.value.split(",") : [];
  const words = values.map((value) => of.shown(value));
  const said = words.length > SHOWN_VALUES ? `${words.slice(0, SHOWN_VALUES).join(", ")} +${words.length - SHOWN_VALUES}` : words.join(", ");
  const open = h("button", { type: "button", "data-chip": of.name }, values.length > 0 ? t("chip", { name: of.label, value: said }) : of.label);
  const box = h("span", { class: values.length > 0 ? "chip active" : "chip" }, open);
  popoverFrom(open, () => [choiceList(of, values)], { name: of.label });
  if (values.length > 0) {
    box.append(
      h("button", { type: "button", "aria-label": t("chip.remove", { name: of.label }), onclick: () => of.changed("") }, "×"),
    );
  }
  return box;
}

/**
 * @param {ChipOf} of
 * @param {string[]} values
 */
function choiceList(of, values) {
  const chosen = new Set(values);
  const list = h("fieldset", null, h("legend", { class: "unseen" }, of.label), h("p", { class: "muted padded" }, t("loading")));
  const fill = /** @param {Choice[]} choices */ (choices) => {
    const known = new Set(choices.map((choice) => choice.value));
    /** @type {Choice[]} */
    const all = [...choices, ...values.filter((value) => !known.has(value)).map((value) => ({ value, label: of.shown(value) }))];
    list.replaceChildren(
      h("legend", { class: "unseen" }, of.label),
      ...(all.length === 0 ? [h("p", { class: "muted" }, t("no_values"))] : []),
      ...all.map((choice) =>
        h(
          "label",
          { class: "menu-row" },
          h("input", {
            type: of.one ? "radio" : "checkbox",
            name: of.name,
            checked: chosen.has(choice.value),
            onchange: /** @param {Event} event */ (event) => {
              if (of.one) chosen.clear();
              if (/** @type {HTMLInputElement} */ (event.target).checked) chosen.add(choice.value);
              else chosen.delete(choice.value);
              of.changed([...chosen].join(","));
            },
          }),
          h("span", null, choice.label),
          choice.count === undefined ? null : h("span", { class: "count" }, number(choice.count)),
        ),
      ),
    );
  };
  const choices = of.choices();
  if (Array.isArray(choices)) fill(choices);
  else {
    choices.then(
      (found) => {
        fill(found);
        const first = list.querySelector("input");
        if (list.isConnected && !list.contains(document.activeElement)) first?.focus({ preventScroll: true });
      },
      () => list.replaceChildren(h("p", { class: "bad" }, t("problem.internal"))),
    );
  }
  return list;
}

/**
 * A search box. It is made once and never redrawn, so that it keeps focus and caret whatever arrives meanwhile.
 * @param {{label: string, value: string, changed: (text: string) => void}} of
 */
export function searchBox({ label, value, changed }) {
  let timer = 0;
  const input = h("input", {
    class: "input",
    type: "search",
    "aria-label": label,
    placeholder: label,
    value,
    maxlength: 200,
    autocomplete: "off",
    spellcheck: "false",
    "data-search": true,
  });
  const tell = () => {
    clearTimeout(timer);
    changed(input.value.trim());
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(tell, 180);
  });
  input.addEventListener("keydown", (event) => event.key === "Enter" && tell());
  return { element: h("div", { class: "search" }, icon("search"), input), input };
}
