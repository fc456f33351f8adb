// "Sync now": starts a run and tells how it really ended.
import { change, get, movedOn } from "../api.js";
import { Part, h } from "../dom.js";
import { number } from "../format.js";
import { t } from "../i18n.js";
import { live } from "../live.js";
import { plain } from "../overlays.js";
import { may, refreshStatus, status, statuses } from "../status.js";
import { toast } from "../toasts.js";

/** @typedef {import("../api-types").Run} Run */
/** @typedef {import("../api-types").RunAnswer} RunAnswer */

const LOOK_MS = 2500;
const ENDED = ["succeeded", "failed", "cancelled"];

/**
 * Follows a run until it ends.
 * @param {Run} run
 * @param {AbortSignal} signal
 * @returns {Promise<Run>}
 */
export async function followRun(run, signal) {
  let now = run;
  let stirred = /** @type {() => void} */ (() => undefined);
  const stir = () => stirred();
  live.addEventListener("run_finished", stir, { signal });
  live.addEventListener("stage_finished", stir, { signal });
  while (!ENDED.includes(now.state)) {
    await new Promise((resolve, reject) => {
      stirred = () => resolve(undefined);
      setTimeout(resolve, LOOK_MS);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      now = await get(`/runs/${run.id}`, {}, signal);
    } catch (error) {
      if (movedOn(error)) throw error;
      // The engine may be restarting; the run goes on without us and is asked about again.
    }
  }
  return now;
}

/**
 * What a run did, from the counts its stages recorded.
 * @param {Run} run
 */
export function runSummary(run) {
  if (run.state === "failed") return t("run.failed", { why: run.error ?? "" });
  if (run.state === "cancelled") return t("run.cancelled");
  const count = /** @param {string} kind @param {string[]} names */ (kind, names) =>
    (run.stages ?? [])
      .filter((stage) => stage.kind === kind)
      .reduce((sum, stage) => sum + names.reduce((part, name) => part + Number(stage.counts?.[name] ?? 0), 0), 0);
  const referrals = count("raw_leads", ["stored", "inserted", "updated", "new", "changed", "written"]);
  const scans = count("domain_scans", ["scanned"]);
  return referrals + scans > 0 ? t("run.succeeded_counts", { referrals, scans }) : t("run.succeeded");
}

class SyncButton extends Part {
  begin() {
    this.button = h("button", { type: "button", class: "button primary", onclick: () => this.start() }, t("sync.now"));
    this.replaceChildren(this.button);
    this.draw();
    this.hears(statuses, "status", () => this.draw());
    this.hears(live, "stage_progress", (event) => {
      this.done = /** @type {CustomEvent} */ (event).detail.body.done;
      this.draw();
    });
    for (const kind of ["stage_started", "stage_finished"]) this.hears(live, kind, () => (this.done = 0));
  }

  busy = false;
  /** How many rows the stage at work has behind it, when it takes long enough to say. */
  done = 0;

  draw() {
    if (!this.button) return;
    const running = this.busy || (status()?.running.length ?? 0) > 0;
    // It stays usable by name while a sync runs: a click then joins that run.
    this.button.textContent = running ? `${t("sync.running")}${this.done > 0 ? ` ${number(this.done)}` : ""}` : t("sync.now");
    this.button.disabled = this.busy || !may("act");
    this.button.title = status() && !may("act") ? t("role.viewer") : "";
  }

  async start() {
    if (this.busy) return;
    this.busy = true;
    this.draw();
    try {
      /** @type {RunAnswer} */
      const { run, joined } = await change("POST", "/referrals/sync");
      toast(t(joined ? "sync.joined" : "sync.started"), { action: h("a", { href: `/runs/${run.id}` }, t("run.watch")) });
      void refreshStatus();
      const ended = await followRun(run, this.signal);
      toast(runSummary(ended), { tone: ended.state === "succeeded" ? "good" : "bad" });
      void refreshStatus();
    } catch (error) {
      if (!movedOn(error)) toast(plain(error), { tone: "bad" });
    } finally {
      const held = document.activeElement === document.body;
      this.busy = false;
      this.draw();
      if (held && this.isConnected && document.activeElement === document.body) this.button?.focus({ preventScroll: true });
    }
  }
}

customElements.define("hunter-sync", SyncButton);
