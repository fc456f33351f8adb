// Addresses: the room, what is open in it, and the filters. The back button is the only memory.

/** @typedef {{room: string, id: string | null, params: URLSearchParams, path: string}} Route */

/** Tells `route` on every change of the address. */
export const routes = new EventTarget();

const ROOMS = ["leads", "referrals", "imports", "crm", "runs", "settings"];

/** @returns {Route} */
export function route() {
  const [room = "", ...rest] = location.pathname.split("/").filter(Boolean);
  let id = null;
  try {
    id = rest.length > 0 ? decodeURIComponent(rest.join("/")) : null;
  } catch {
    id = rest.join("/");
  }
  const known = room === "" ? "leads" : ROOMS.includes(room) ? room : "nowhere";
  return { room: known, id, params: new URLSearchParams(location.search), path: location.pathname };
}

/**
 * @param {string} room
 * @param {string | null} [id]
 * @param {URLSearchParams | Record<string, string>} [params]
 */
export function address(room, id = null, params = new URLSearchParams()) {
  const query = new URLSearchParams(params).toString().replaceAll("%2C", ",");
  return `/${room}${id === null ? "" : `/${encodeURIComponent(id)}`}${query ? `?${query}` : ""}`;
}

/**
 * @param {string} to
 * @param {{replace?: boolean}} [how]
 */
export function go(to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  routes.dispatchEvent(new Event("route"));
}

export function startRouting() {
  addEventListener("popstate", () => routes.dispatchEvent(new Event("route")));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || /^\/(api|auth)\//.test(link.pathname)) return;
    if (link.hash && link.pathname === location.pathname) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
