// Speaking to the server: plain words for every failure, a retry where it can help, and nothing loaded twice.
import { t, word } from "./i18n.js";

/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */

const BASE = "/api/v1";
const PATIENCE_MS = 20000;
const RETRY_AFTER_MS = [400, 1500];
const REMEMBERED = 60;
const ALONE_MS = 2000;

/** Tells `signed-out` when the session ended, `signed-in` when there is one again, and `reach` with `{detail: boolean}` when the server went or came. */
export const connection = new EventTarget();

let signedOut = false;

/** An answer that is not what was asked for. */
export class Problem extends Error {
  /**
   * @param {string} message in the reader's language
   * @param {{status?: number, code?: string, fix?: string, requestId?: string, fields?: {field: string, message: string}[], retryAfter?: number}} [about]
   */
  constructor(message, about = {}) {
    super(message);
    this.status = about.status ?? 0;
    this.code = about.code ?? "unreachable";
    this.fix = about.fix ?? "";
    this.requestId = about.requestId ?? "";
    this.fields = about.fields ?? [];
    this.retryAfter = about.retryAfter ?? 0;
  }
}

/** @type {Map<string, {etag: string, body: unknown}>} */
const remembered = new Map();

/** @param {Query} query */
export function search(query) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

/**
 * @param {string} path below /api/v1
 * @param {Query} [query]
 */
export const apiAddress = (path, query = {}) => `${BASE}${path}${search(query)}`;

const IDLE_MS = 60000;
let touched = Date.now();
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(kind, () => (touched = Date.now()), { capture: true, passive: true });

const wait = /** @param {number} ms @param {AbortSignal | undefined} signal */ (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/**
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
async function problemOf(response) {
  /** @type {any} */
  const body = await response.json().catch(() => ({}));
  const code = String(body.code ?? (response.status >= 500 ? "internal" : "invalid"));
  const retryAfter = Number(response.headers.get("retry-after") ?? 0);
  const detail = String(body.detail ?? body.title ?? "");
  const named = code === "invalid" && Array.isArray(body.errors) && body.errors.length > 0;
  const message = named ? t("problem.invalid_fields") : word(`problem.${code}`, detail || t("problem.internal"));
  if (response.status === 401) {
    signedOut = true;
    connection.dispatchEvent(new Event("signed-out"));
  }
  return new Problem(message, {
    status: response.status,
    code,
    fix: word(`problem.${code}.fix`, code === "internal" ? "" : String(body.fix ?? "")),
    requestId: String(body.request_id ?? response.headers.get("x-request-id") ?? ""),
    fields: Array.isArray(body.errors) ? body.errors : [],
    retryAfter,
  });
}

/** @type {Set<Promise<Response>>} */
const underWay = new Set();
/** What new requests wait for; nothing, mostly.
 * @type {Promise<void> | null} */
let held = null;

/**
 * Do what must not cross other requests, as ending the session: those under way end first, and new ones wait until it
 * has failed. When it succeeded the page is about to be left, and they are never sent.
 * @param {() => Promise<boolean>} deed
 */
export async function alone(deed) {
  /** @type {() => void} */
  let free = () => undefined;
  held = new Promise((resolve) => (free = resolve));
  await Promise.race([Promise.allSettled(underWay), wait(ALONE_MS, undefined)]);
  const done = await deed();
  if (!done) {
    held = null;
    free();
  }
  return done;
}

/** @param {boolean} there */
const reached = (there) => connection.dispatchEvent(new CustomEvent("reach", { detail: there }));

/**
 * @param {string} address
 * @param {RequestInit} options
 * @param {AbortSignal} [signal]
 */
async function send(address, options, signal) {
  if (held) await held;
  const patience = AbortSignal.timeout(PATIENCE_MS);
  // What an unattended page asks by itself does not keep its session alive.
  /** @type {Record<string, string>} */
  const idle = Date.now() - touched > IDLE_MS ? { "X-Hunter-Idle": "1" } : {};
  try {
    const asked = fetch(address, {
      ...options,
      headers: { .../** @type {Record<string, string>} */ (options.headers), ...idle },
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
      credentials: "same-origin",
    });
    underWay.add(asked);
    const response = await asked.finally(() => underWay.delete(asked));
    reached(true);
    // Signed in again in another tab: this one goes on.
    if (signedOut && response.ok) {
      signedOut = false;
      connection.dispatchEvent(new Event("signed-in"));
    }
    return response;
  } catch (error) {
    if (signal?.aborted) throw error;
    if (patience.aborted) throw new Problem(t("problem.slow"), { code: "slow", fix: t("problem.slow.fix") });
    reached(false);
    throw new Problem(t("problem.unreachable"), { fix: t("problem.unreachable.fix") });
  }
}

/**
 * @template T
 * @param {string} path
 * @param {Query} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
export async function get(path, query = {}, signal) {
  const address = apiAddress(path, query);
  for (let attempt = 0; ; attempt += 1) {
    try {
      const known = remembered.get(address);
      /** @type {Record<string, string>} */
      const headers = { Accept: "application/json" };
      if (known) headers["If-None-Match"] = known.etag;
      const response = await send(address, { headers, cache: "no-store" }, signal);
      if (response.status === 304 && known) return /** @type {T} */ (known.body);
      if (!response.ok) throw await problemOf(response);
      const body = await response.json();
      const etag = response.headers.get("etag");
      if (etag) {
        remembered.delete(address);
        remembered.set(address, { etag, body });
        const oldest = remembered.keys().next().value;
        if (remembered.size > REMEMBERED && oldest !== undefined) remembered.delete(oldest);
      }
      return body;
    } catch (error) {
      const pause = RETRY_AFTER_MS[attempt];
      const passing =
        error instanceof Problem &&
        (error.code === "unreachable" || ([502, 503, 504].includes(error.status) && error.code !== "engine_down"));
      if (!passing || pause === undefined) throw error;
      await wait(pause, signal);
    }
  }
}

/**
 * A change. Sent once under one key, so that a repeat of the same click does nothing twice.
 * @template T
 * @param {"POST" | "PUT" | "PATCH" | "DELETE"} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {{key?: string, signal?: AbortSignal}} [how]
 * @returns {Promise<T>}
 */
export async function change(method, path, body = {}, { key = newKey(), signal } = {}) {
  const isFile = body instanceof FormData;
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", "Idempotency-Key": key };
  if (!isFile) headers["Content-Type"] = "application/json";
  const response = await send(
    apiAddress(path),
    { method, headers, body: isFile ? body : JSON.stringify(body), cache: "no-store" },
    signal,
  );
  if (!response.ok) throw await problemOf(response);
  return response.status === 204 ? /** @type {T} */ (null) : response.json();
}

/** `randomUUID` exists on secure origins only; loopback is one, an internal http address is not. */
function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Whether the error is only that the reader moved on.
 * @param {unknown} error
 */
export const movedOn = (error) => error instanceof DOMException && error.name === "AbortError";
