// What happens elsewhere, as it happens. After a lost connection the stream goes on where it broke off.
import { apiAddress, connection } from "./api.js";

/** Tells one event per kind with `{detail: {id, at, kind, subject, body}}`, `gap` when too much was missed, and
 * `connection` with `{detail: boolean}`. */
export const live = new EventTarget();

/** @typedef {{id: number, at: string, kind: string, subject: string | null, body: any}} Happening */

const KINDS = [
  "stage_started",
  "stage_progress",
  "stage_finished",
  "leads_changed",
  "run_started",
  "run_finished",
  "import_progress",
  "bulk_progress",
  "alert",
];
const LONGEST_PAUSE_MS = 15000;

/** @type {EventSource | null} */
let source = null;
/** The newest event that was heard of; below zero while none is known, since a store's first event follows zero. */
let last = -1;
let failures = 0;
let timer = 0;
let up = true;

/** @param {boolean} now */
function tell(now) {
  if (now === up) return;
  up = now;
  live.dispatchEvent(new CustomEvent("connection", { detail: now }));
}

/** @param {number} [after] the newest event the page already shows */
export function listen(after) {
  if (after !== undefined) last = Math.max(last, after);
  source?.close();
  clearTimeout(timer);
  // The server's own reconnection would start from its last id too, but not after an answer that was an error.
  source = new EventSource(apiAddress("/events", last >= 0 ? { last_event_id: last } : {}));
  source.addEventListener("hello", () => {
    failures = 0;
    tell(true);
  });
  source.addEventListener("gap", (event) => {
    last = Number(JSON.parse(event.data).last_event_id);
    live.dispatchEvent(new Event("gap"));
  });
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => {
      /** @type {Happening} */
      const happening = JSON.parse(event.data);
      if (happening.id <= last) return;
      last = happening.id;
      live.dispatchEvent(new CustomEvent(kind, { detail: happening }));
    });
  }
  source.addEventListener("error", () => {
    source?.close();
    failures += 1;
    // One lost connection is everyday life (a server restart, a laptop lid) and heals at once.
    if (failures > 1) tell(false);
    timer = setTimeout(listen, Math.min(LONGEST_PAUSE_MS, 500 * 2 ** failures));
  });
}

// Nobody is told anything without a session, so asking on would only fill the server's log.
connection.addEventListener("signed-out", () => {
  source?.close();
  clearTimeout(timer);
});
connection.addEventListener("signed-in", () => listen());
addEventListener("online", () => source?.readyState === EventSource.CLOSED && listen());
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && listen());
