// What opens from the line above the list: the choice of columns, and the downloads.
import { apiAddress, get } from "../api.js";
import { h } from "../dom.js";
import { language, t } from "../i18n.js";
import { keep } from "../kept.js";
import { plain } from "../overlays.js";
import { route } from "../router.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import { EXPORTED, allColumns, chooseColumns, chosenColumns } from "./columns.js";
import { filtersOf, orderOf } from "./query.js";

/**
 * Which columns are shown, and how densely.
 * @param {HTMLElement} room takes the class of the density
 * @param {() => void} changed
 */
export function columnsMenu(room, changed) {
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
            changed();
          },
        }),
        column.label,
      ),
    );
  const dense = h("input", { type: "checkbox", checked: room.classList.contains("compact") });
  dense.addEventListener("change", () => {
    room.classList.toggle("compact", dense.checked);
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
          changed();
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

/** As many as the server gives out in a minute. */
const DOWNLOADS_A_MINUTE = 6;
/** @type {number[]} */
let downloads = [];

/**
 * Starts a download. A browser says little about one that fails, so what would fail is found out before.
 * @param {string} href
 * @param {string} total
 */
async function save(href, total) {
  try {
    await get("/status");
  } catch (error) {
    toast(plain(error), { tone: "bad" });
    return;
  }
  downloads = downloads.filter((at) => at > Date.now() - 60000);
  if (downloads.length >= DOWNLOADS_A_MINUTE) {
    toast(`${t("problem.too_many_requests")} ${t("problem.too_many_requests.fix")}`, { tone: "bad" });
    return;
  }
  downloads.push(Date.now());
  const link = h("a", { href, download: "", hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  toast(t("export.started", { n: total }));
}

/**
 * @param {() => void} close
 * @param {string} total how many leads the file will hold, as it is said
 * @param {string[]} [domains] only these
 */
export function exportMenu(close, total, domains = []) {
  if (!may("export")) return h("p", { class: "menu-group muted" }, t("role.viewer"));
  const { params } = route();
  const columns = chosenColumns().flatMap((key) => EXPORTED[key] ?? []).join(",");
  const link = /** @param {string} kind @param {boolean} all */ (kind, all) =>
    h(
      "a",
      {
        class: "menu-row",
        download: "",
        href: apiAddress(`/leads/export.${kind}`, { ...filtersOf(params), ...orderOf(params), columns: all ? "" : columns, lang: language(), domains: domains.join(",") }),
        onclick: /** @param {MouseEvent} event */ (event) => {
          event.preventDefault();
          const { href } = /** @type {HTMLAnchorElement} */ (event.currentTarget);
          close();
          void save(href, total);
        },
      },
      t(all ? "export.all" : "export.shown", { kind: kind.toUpperCase() }),
    );
  return h(
    "div",
    null,
    h("p", { class: "menu-group muted small" }, t("export.what", { n: total })),
    link("xlsx", false),
    link("xlsx", true),
    link("csv", false),
    link("csv", true),
  );
}
