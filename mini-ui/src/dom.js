// Elements without HTML strings: every text goes through a text node, so no data can become markup.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Child | Child[]} Children */
/** @typedef {Record<string, unknown>} Attributes */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Element} element
 * @param {Attributes | null} attributes
 */
function apply(element, attributes) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "value" || name === "checked" || name === "indeterminate") {
      Object.assign(element, { [name]: value });
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/**
 * @param {Element} element
 * @param {Children[]} children
 */
export function append(element, ...children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/**
 * An element. Attributes named `on…` with a function are listeners.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes | null} [attributes]
 * @param {...Children} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = null, ...children) {
  const element = document.createElement(tag);
  // Options must exist before a select can take its value.
  append(element, ...children);
  apply(element, attributes);
  return element;
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Attributes} attributes
 * @param {...Children} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  append(element, ...children);
  apply(element, attributes);
  return element;
}

const ICONS = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.6 10.6 14.5 14.5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.500v-8h7",
  leads: "M2.500 13.500c0-3 2.200-4.500 5.500-4.500s5.500 1.500 5.500 4.500M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  referrals: "M2 8.500h3.500l1 2h3l1-2H14M2 8.500l2-6h8l2 6v5H2z",
  imports: "M8 2v8M4.500 6.500 8 10l3.500-3.500M2.500 13.500h11",
  crm: "M13 6.500A5.200 5.200 0 0 0 3.500 5M3 9.500A5.200 5.200 0 0 0 12.500 11M3.500 2v3h3M12.500 14v-3h-3",
  runs: "M2 8.500h3l2-5 2.500 9 2-4H14",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
};

/**
 * A line icon; always decorative, its control carries the name.
 * @param {keyof typeof ICONS} name
 */
export function icon(name) {
  const stroke = name === "more" ? 2.6 : 1.4;
  return s(
    "svg",
    { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", focusable: "false" },
    s("path", {
      d: ICONS[name],
      fill: "none",
      stroke: "currentColor",
      "stroke-width": stroke,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

/**
 * A link to another site, or plain text when the address is not http or https.
 * @param {string | null | undefined} address
 * @param {string} text
 */
export function external(address, text) {
  const safe = safeAddress(address);
  if (safe === null) return h("span", null, text);
  return h("a", { href: safe, target: "_blank", rel: "noopener noreferrer" }, text);
}

/**
 * The address when it is http or https, written out whole, with nothing hidden in it.
 * @param {string | null | undefined} address
 */
export function safeAddress(address) {
  if (!address || !/^https?:\/\/[^\s\\]+$/i.test(address)) return null;
  try {
    const url = new URL(address);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

let ids = 0;
/** @param {string} stem */
export const freshId = (stem) => `${stem}-${++ids}`;

/**
 * A screen: an element whose listeners and requests end when it leaves the page.
 */
export class Part extends HTMLElement {
  #ended = new AbortController();

  /** Aborted when the element leaves the page. */
  get signal() {
    return this.#ended.signal;
  }

  connectedCallback() {
    if (this.#ended.signal.aborted) this.#ended = new AbortController();
    this.begin();
  }

  disconnectedCallback() {
    this.#ended.abort();
  }

  /** Builds the element; called each time it enters the page. */
  begin() {}

  /**
   * Listens until the element leaves the page.
   * @param {EventTarget} target
   * @param {string} kind
   * @param {(event: any) => void} heard
   */
  hears(target, kind, heard) {
    target.addEventListener(kind, heard, { signal: this.signal });
  }
}
