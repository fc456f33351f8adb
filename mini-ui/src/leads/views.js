// Views: filters and order under a name, one's own.
import { change, get, movedOn } from "../api.js";
import { h } from "../dom.js";
import { inOrder } from "../format.js";
import { t } from "../i18n.js";
import { confirmDialog, plain } from "../overlays.js";
import { route } from "../router.js";
import { toast } from "../toasts.js";

/** @typedef {import("../api-types").View} View */

export function saveView() {
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

/** @param {View} view */
function renameView(view) {
  const input = h("input", { class: "input", required: true, maxlength: 80, value: view.name });
  confirmDialog({
    title: t("view.rename_named", { name: view.name }),
    content: h("label", { class: "field" }, h("span", { class: "label" }, t("view.name")), input),
    deed: t("view.rename"),
    run: async () => {
      await change("PUT", `/views/${view.id}`, { name: input.value.trim(), query: view.query });
      toast(t("view.renamed", { name: input.value.trim() }), { tone: "good" });
    },
  });
  input.select();
}

/**
 * @param {() => void} close
 * @param {AbortSignal} signal
 */
export function viewsMenu(close, signal) {
  const box = h("div", null, h("p", { class: "menu-group muted" }, t("loading")));
  const fill = async () => {
    try {
      /** @type {{items?: View[]} | View[]} */
      const answer = await get("/views", {}, signal);
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
          class: "link small",
          "aria-label": t("view.rename_named", { name: view.name }),
          onclick: () => {
            close();
            renameView(view);
          },
        },
        t("view.rename"),
      ),
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
