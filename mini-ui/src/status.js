// How the engine is and who is asking: read once, kept fresh by events, shared by every part of the page.
import { get, movedOn } from "./api.js";
import { live } from "./live.js";

/** @typedef {import("./api-types").Status} Status */

const EVERY_MS = 60000;

/** @type {Status | null} */
let current = null;
/** What this person may do; all of it is assumed while it is not known yet.
 * @param {Status} of */
const rights = ({ user: { can }, partner_center: { write_back } }) => [can.act, can.export, can.admin, write_back].join(" ");

/** Tells `status` when it was read anew, and `rights` when this person may do something else than before. */
export const statuses = new EventTarget();
export const status = () => current;

/**
 * Whether this person may; yes while it is not known yet (the server decides in the end).
 * @param {"act" | "export" | "admin"} what
 */
export const may = (what) => current?.user.can[what] ?? true;

export async function refreshStatus() {
  try {
    /** @type {Status} */
    const read = await get("/status");
    const before = current ? rights(current) : "true true true true";
    current = read;
    if (rights(read) !== before) statuses.dispatchEvent(new Event("rights"));
    statuses.dispatchEvent(new Event("status"));
  } catch (error) {
    // The page says "reconnecting" by itself; a status that is a minute old is better than none.
    if (!movedOn(error)) statuses.dispatchEvent(new Event("status"));
  }
  return current;
}

let due = 0;
function soon() {
  clearTimeout(due);
  due = setTimeout(refreshStatus, 400);
}

export function followStatus() {
  for (const kind of ["stage_started", "stage_finished", "run_finished", "leads_changed", "import_progress", "gap"]) {
    live.addEventListener(kind, soon);
  }
  live.addEventListener("connection", soon);
  setInterval(() => document.visibilityState === "visible" && refreshStatus(), EVERY_MS);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && soon());
}
