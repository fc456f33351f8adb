// Actions over many leads: asked with counts, followed live, found again after a reload.
import { change, get, movedOn } from "../api.js";
import { Part, h } from "../dom.js";
import { number } from "../format.js";
import { t, word } from "../i18n.js";
import { live } from "../live.js";
import { plain } from "../overlays.js";
import { may, statuses } from "../status.js";
import { toast } from "../toasts.js";
import { bar } from "../words.js";

/** @typedef {import("../api-types").Bulk} Bulk */

const OPEN = ["queued", "running"];
const LOOK_MS = 3000;

/** The open bulk actions, above the list. */
class BulkJobs extends Part {
  begin() {
    /** @type {Map<number, Bulk>} */
    this.jobs = new Map();
    this.box = h("div", { class: "jobs", hidden: true, role: "region", "aria-label": t("bulk.region") });
    this.replaceChildren(this.box);
    void this.load();
    this.hears(live, "bulk_progress", () => this.soon());
    this.hears(live, "gap", () => this.soon());
    this.hears(statuses, "status", () => this.soon());
    // The server tells of progress; another tab of this browser tells of the beginning.
    this.tabs = new BroadcastChannel("hunter.bulk");
    this.tabs.addEventListener("message", () => this.soon());
    this.signal.addEventListener("abort", () => this.tabs?.close());
    this.signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  timer = 0;

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), 300);
  }

  /** @param {Bulk} job */
  add(job) {
    this.jobs?.set(job.id, job);
    this.draw();
    this.tabs?.postMessage(job.id);
    this.soon();
  }

  async load() {
    try {
      /** @type {{items: Bulk[]}} */
      const { items } = await get("/bulk", {}, this.signal);
      for (const job of items) {
        const before = this.jobs?.get(job.id);
        if (before && OPEN.includes(before.state) && !OPEN.includes(job.state)) tellEnd(job);
        if (OPEN.includes(job.state)) this.jobs?.set(job.id, job);
        else this.jobs?.delete(job.id);
      }
      this.draw();
      // Events bring progress at once; the look is for when the stream is down.
      if (this.jobs?.size) this.timer = setTimeout(() => this.load(), LOOK_MS);
    } catch (error) {
      if (!movedOn(error) && this.jobs?.size) this.timer = setTimeout(() => this.load(), LOOK_MS);
    }
  }

  draw() {
    if (!this.box || !this.jobs) return;
    const held = this.box.contains(document.activeElement);
    this.box.hidden = this.jobs.size === 0;
    this.box.replaceChildren(...[...this.jobs.values()].map((job) => this.row(job)));
    if (held) this.box.querySelector("button")?.focus();
  }

  /** @param {Bulk} job */
  row(job) {
    const { total = 0, done = 0, failed = 0, left = 0 } = job.counts;
    const cancel = h(
      "button",
      {
        type: "button",
        class: "button small",
        onclick: async () => {
          cancel.disabled = true;
          try {
            await change("POST", `/bulk/${job.id}/cancel`);
          } catch (error) {
            toast(plain(error), { tone: "bad" });
          }
          this.soon();
        },
      },
      t("cancel"),
    );
    const size = Math.max(1, total);
    return h(
      "div",
      { class: "progress" },
      h("span", null, h("span", { class: "strong" }, word(`bulk.${job.action}`, job.action)), ` · ${t("bulk.progress", { done: number(done), failed: number(failed), left: number(left) })}`),
      may("act") ? cancel : null,
      bar(done / size, failed / size),
    );
  }
}

/** @param {Bulk} job */
function tellEnd(job) {
  const { done = 0, failed = 0 } = job.counts;
  const words = t(job.state === "cancelled" ? "bulk.cancelled" : "bulk.done", {
    action: word(`bulk.${job.action}`, job.action),
    done: number(done),
    failed: number(failed),
  });
  toast(words, { tone: failed > 0 || job.state === "failed" ? "bad" : "good" });
}

customElements.define("hunter-bulk", BulkJobs);
export { BulkJobs };
