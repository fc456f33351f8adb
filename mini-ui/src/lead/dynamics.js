// A company in Dynamics: its state in words, the fix beside each refusal, and what a push would change.
import { change, movedOn } from "../api.js";
import { external, h } from "../dom.js";
import { dateTime, moment } from "../format.js";
import { t, word } from "../i18n.js";
import { openDialog, plain } from "../overlays.js";
import { may } from "../status.js";
import { toast } from "../toasts.js";
import * as words from "../words.js";
import { crmDeeds } from "./crm_deeds.js";
import { canMerge, mergeButton, mergedAccount } from "./account_merge.js";
import { crmChanges, crmError, crmReason } from "./crm_words.js";
import { deedButton, section } from "./pieces.js";

/** @typedef {import("../api-types").LeadDetail} LeadDetail */
/** @typedef {import("../api-types").CrmRecord} CrmRecord */

/**
 * @param {LeadDetail} detail
 * @param {() => void} after
 */
export function dynamicsSection(detail, after) {
  const { dynamics } = detail;
  const said = h("p", { class: words.TONES[dynamics.state] ?? null }, words.dynamicsWords(dynamics.state, detail.lead.dynamics_detail));
  return section(
    t("section.dynamics"),
    null,
    said,
    dynamics.enabled ? null : h("p", { class: "muted small" }, t("dynamics.off")),
    dynamics.records.length > 0 ? h("div", null, dynamics.records.map((one) => h("div", { class: "item" }, ...recordParts(one, after))), (dynamics.merged_accounts ?? []).map((one) => h("div", { class: "item" }, ...mergedAccount(one, detail.lead.domain, after)))) : h("p", { class: "muted" }, t("dynamics.none")),
    dynamics.history.length > 0
      ? h(
          "details",
          { class: "fold", "data-name": "crm-history" },
          h("summary", null, t("dynamics.history", { n: dynamics.history.length })),
          dynamics.history.map((one) =>
            h(
              "div",
              { class: "item small" },
              h("p", null, moment(one.at, dateTime), ` · ${words.table(one.table)}: ${word(`operation.${one.operation}`, one.operation)}, ${word(`outcome.${one.outcome}`, one.outcome)} · ${words.who(one.actor)}`),
              one.detail ? h("p", { class: "muted" }, [one.status, one.code, one.detail].filter(Boolean).join(" · ")) : null,
              one.fields && Object.keys(one.fields).length > 0 ? crmChanges(one.fields) : null,
            ),
          ),
        )
      : null,
  );
}

/**
 * @param {CrmRecord} record
 * @param {() => void} after
 */
export function recordParts(record, after) {
  const failed = (/** @type {unknown} */ error) => movedOn(error) || toast(plain(error), { tone: "bad" });
  /** @type {(HTMLElement | null)[]} */
  const found = [
    h(
      "p",
      { class: "line-pair" },
      h("span", null, record.link ? external(record.link, words.table(record.table)) : words.table(record.table), record.crm_state ? h("span", { class: "muted" }, ` · ${word(`crm_state.${record.crm_state}`, record.crm_state)}`) : null, record.crm_owner ? h("span", { class: "muted" }, ` · ${record.crm_owner}`) : null),
      h("span", { class: words.TONES[record.state] ?? null }, words.recordWords(record)),
    ),
    record.synced_at ? h("p", { class: "muted small" }, t("dynamics.synced_at"), " ", moment(record.synced_at, dateTime)) : null,
  ];
  if (record.state === "rejected" || record.state === "deleted_in_crm" || (record.state === "deferred" && record.error)) {
    found.push(
      h(
        "div",
        { class: record.state === "deferred" ? "issue warn" : "issue" },
        h("p", null, crmError(record)),
        record.error && record.error !== crmError(record) ? h("p", { class: "muted small" }, record.error) : null,
        record.fix ? h("p", { class: "muted" }, word(`crm_fix.${record.fix}`, record.fix)) : null,
        may("act") && record.state === "rejected"
          ? h(
              "div",
              { class: "row-of" },
              deedButton(
                t("retry.push"),
                async () => {
                  await change("POST", "/dynamics/rejects/retry", { domains: [record.domain] });
                  toast(t("retry.started", { domain: record.domain_shown }));
                  after();
                },
                failed,
              ),
            )
          : null,
      ),
    );
  }
  if (record.state === "skipped" && record.fix) found.push(h("p", { class: "muted small" }, word(`crm_fix.${record.fix}`, record.fix)));
  if (record.state === "conflict") found.push(conflictForm(record, after));
  found.push(crmDeeds(record, after));
  if (canMerge(record)) found.push(h("div", { class: "row-of" }, mergeButton(record, after)));
  return found.filter((one) => one !== null);
}

/**
 * @param {CrmRecord} record
 * @param {() => void} after
 */
export function conflictForm(record, after) {
  const candidates = /** @type {Record<string, unknown>[]} */ (Array.isArray(record.candidates) ? record.candidates : []);
  const said = h("p", { class: "bad", role: "alert", hidden: true });
  const idOf = /** @param {Record<string, unknown>} one */ (one) => String(one.crm_id ?? one.id ?? one[`${record.table}id`] ?? "");
  const choices = candidates.map((one) =>
    h(
      "div",
      { class: "candidate" },
      h(
        "label",
        { class: "menu-row" },
        h("input", { type: "radio", name: "crm_id", value: idOf(one), required: true, disabled: !may("act") }),
        h("span", null, h("span", { class: "strong" }, String(one.name ?? idOf(one))), h("br"), h("span", { class: "muted small" }, aboutCandidate(record, one))),
      ),
      typeof one.link === "string" ? h("p", { class: "small" }, external(one.link, t("conflict.open"))) : null,
    ),
  );
  const form = h(
    "form",
    { class: "issue warn" },
    h("p", null, crmError(record)),
    h(
      "fieldset",
      null,
      h("legend", { class: "unseen" }, t("conflict.choose")),
      choices,
      h("label", { class: "menu-row" }, h("input", { type: "radio", name: "crm_id", value: "", required: true, disabled: !may("act") }), h("span", null, t("conflict.new"))),
    ),
    said,
    may("act") ? h("div", null, h("button", { class: "button small primary", type: "submit" }, t("conflict.use"))) : null,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = new FormData(form).get("crm_id");
    try {
      await change("POST", "/dynamics/conflicts/resolve", { table: record.table, external_id: record.external_id, crm_id: chosen === "" ? null : String(chosen) });
      toast(t("conflict.resolved"), { tone: "good" });
      after();
    } catch (error) {
      if (movedOn(error)) return;
      said.textContent = plain(error);
      said.hidden = false;
    }
  });
  return form;
}

/**
 * What tells one candidate from the next: where it is, whose, and how old.
 * @param {CrmRecord} record
 * @param {Record<string, unknown>} one
 */
function aboutCandidate(record, one) {
  return Object.entries(one)
    .filter(([name, value]) => !["crm_id", "id", `${record.table}id`, "link", "name"].includes(name) && value !== null && value !== "")
    .slice(0, 5)
    .map(([name, value]) => {
      const text = String(value);
      if (name === "createdon" || name === "modifiedon") return t(/** @type {const} */ (`crm_field.${name}`), { at: dateTime(text) });
      return name === "websiteurl" ? text.replace(/^https?:\/\//, "") : text;
    })
    .join(" · ");
}

/**
 * What a push would write, before it is written.
 * @param {import("../api-types").Lead} lead
 * @param {AbortSignal} signal
 * @param {() => void} push
 */
export async function previewPush({ domain, domain_shown: shownDomain }, signal, push) {
  const box = h("div", { class: "stack" }, h("p", { class: "muted" }, t("loading")));
  const dialog = openDialog(t("preview.title", { domain: shownDomain }), box, { wide: true });
  try {
    /** @type {{plan: import("../api-types").PlannedChange[]}} */
    const { plan } = await change("POST", `/dynamics/sync/${encodeURIComponent(domain)}`, { dry_run: true }, { signal });
    const moving = plan.filter((one) => ["create", "update", "adopt"].includes(one.operation));
    box.replaceChildren(
      h("p", { class: "muted" }, moving.length > 0 ? t("preview.what", { n: moving.length }) : t("preview.nothing")),
      ...plan.map((one) =>
        h(
          "section",
          { class: "stack" },
          h("h3", null, `${words.table(one.table)} · ${word(`operation.${one.operation}`, one.operation)}`),
          one.reason ? h("p", { class: one.operation === "blocked" ? "bad" : "muted" }, crmReason(one.reason)) : null,
          Object.keys(one.fields).length > 0 ? crmChanges(one.fields) : null,
          Object.keys(one.kept ?? {}).length > 0
            ? h("details", { class: "fold" }, h("summary", null, t("preview.kept", { n: Object.keys(one.kept ?? {}).length })), crmChanges(one.kept, [t("change.theirs"), t("change.ours")]))
            : null,
        ),
      ),
    );
    if (moving.length > 0) {
      const go = h("button", { type: "button", class: "button primary" }, t("push"));
      go.addEventListener("click", () => {
        dialog.close();
        push();
      });
      dialog.querySelector(".dialog-end")?.append(go);
    }
  } catch (error) {
    if (!movedOn(error)) box.replaceChildren(h("p", { class: "bad", role: "alert" }, plain(error)));
  }
}

