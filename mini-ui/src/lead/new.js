// A lead by hand: a domain, an e-mail address or a web site names the company.
import { change } from "../api.js";
import { h } from "../dom.js";
import { t } from "../i18n.js";
import { confirmDialog } from "../overlays.js";
import { address, go } from "../router.js";
import { toast } from "../toasts.js";

export function openNewLead() {
  const where = h("input", { class: "input", required: true, maxlength: 253, placeholder: "example.com", autocapitalize: "none", spellcheck: "false" });
  const company = h("input", { class: "input", maxlength: 300 });
  const country = h("input", { class: "input", maxlength: 2, pattern: "[A-Za-z]{2}", title: t("edit.country") });
  confirmDialog({
    title: t("new_lead"),
    content: h(
      "div",
      { class: "stack" },
      h("label", { class: "field" }, h("span", { class: "label" }, t("new_lead.where")), where),
      h("label", { class: "field" }, h("span", { class: "label" }, t("field.name")), company),
      h("label", { class: "field" }, h("span", { class: "label" }, t("field.country")), country),
    ),
    deed: t("new_lead.add"),
    run: async () => {
      const text = where.value.trim();
      /** @type {Record<string, string>} */
      const body = text.includes("@") ? { email: text } : /^https?:\/\//i.test(text) ? { website: text } : { domain: text };
      if (company.value.trim()) body.company = company.value.trim();
      if (country.value.trim()) body.country = country.value.trim().toUpperCase();
      /** @type {{domain: string, domain_shown: string}} */
      const { domain, domain_shown: shown } = await change("POST", "/leads", body);
      toast(t("new_lead.done", { domain: shown }), { tone: "good", action: h("a", { href: address("leads", domain) }, t("open")) });
      if (location.pathname === "/leads") go(address("leads", domain));
    },
  });
  where.focus();
}
