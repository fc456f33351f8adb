// The filters of the leads list: their names in the address are those of the API.

export const FILTERS = /** @type {const} */ ([
  "q",
  "priority",
  "segment",
  "technical_segment",
  "provider",
  "gateway",
  "referral_category",
  "referral_status",
  "dynamics_state",
  "country",
  "source",
  "complete",
  "score_min",
  "score_max",
  "age_days",
  "expiring_days",
]);

/** @typedef {(typeof FILTERS)[number]} FilterName */

/**
 * What of an address the API is asked for; anything unknown stays out, so a stale bookmark still opens.
 * @param {URLSearchParams} params
 */
export function filtersOf(params) {
  /** @type {Record<string, string>} */
  const query = {};
  for (const name of FILTERS) {
    const value = params.get(name);
    if (value) query[name] = value;
  }
  return query;
}

/** @param {URLSearchParams} params */
export function orderOf(params) {
  const order = params.get("order") === "desc" ? "desc" : "asc";
  return { sort: params.get("sort") ?? "priority", order: /** @type {"asc" | "desc"} */ (order) };
}
