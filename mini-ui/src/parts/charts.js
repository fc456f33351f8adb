// Small plots: bars that are links, each with its text. The plot is a list to a screen reader.
import { h, s } from "../dom.js";
import { number } from "../format.js";

/** @typedef {{label: string, count: number, said: string, href?: string | null, quiet?: boolean, bad?: number}} Bar */

/**
 * @param {string} name
 * @param {Bar[]} bars
 * @param {{every?: number}} [how] every n-th bar has its label written below
 */
export function barPlot(name, bars, { every = 1 } = {}) {
  const most = Math.max(1, ...bars.map((bar) => bar.count + (bar.bad ?? 0)));
  const items = bars.map((bar, at) => {
    const height = bar.count === 0 ? 0 : Math.max(2, (bar.count / most) * 34);
    const bad = bar.bad ? Math.max(2, (bar.bad / most) * 34) : 0;
    const inside = [
      s(
        "svg",
        { viewBox: "0 0 10 34", preserveAspectRatio: "none", "aria-hidden": "true" },
        s("rect", { x: 0, y: 33.5, width: 10, height: 0.5, class: "quiet" }),
        s("rect", { x: 0, y: 34 - height, width: 10, height, class: bar.quiet ? "quiet" : null }),
        bad ? s("rect", { x: 0, y: 34 - height - bad, width: 10, height: bad, class: "bad" }) : null,
      ),
      h("span", { "aria-hidden": "true" }, at % every === 0 ? bar.label : "\u00a0"),
      h("span", { class: "unseen" }, bar.said),
    ];
    return h("li", null, bar.href ? h("a", { href: bar.href, title: bar.said }, inside) : h("span", { class: "still", title: bar.said }, inside));
  });
  return h("div", { class: "tile plot" }, h("h2", { class: "name" }, name), h("ul", { class: "bars", "aria-label": name }, items));
}

/**
 * @param {string} name
 * @param {Bar[]} stages
 */
export function funnelPlot(name, stages) {
  const most = Math.max(1, ...stages.map((stage) => stage.count));
  const items = stages.map((stage) =>
    h(
      "li",
      null,
      h(
        "a",
        { href: stage.href ?? "/referrals" },
        h("span", null, stage.label),
        s(
          "svg",
          { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
          s("rect", { width: (stage.count / most) * 100, height: 8 }),
        ),
        h("span", { class: "number" }, number(stage.count)),
      ),
    ),
  );
  return h("div", { class: "tile plot" }, h("h2", { class: "name" }, name), h("ul", { class: "funnel", "aria-label": name }, items));
}
