// The way back through a list whose server only knows the next page: the cursors that led here, for this tab.

const NAME = "hunter.trail";

/** @typedef {{list: string, cursors: string[]}} Trail */

/**
 * @param {string} list
 * @returns {string[]} the first page is the empty cursor
 */
function trailOf(list) {
  try {
    /** @type {Trail | null} */
    const trail = JSON.parse(sessionStorage.getItem(NAME) ?? "null");
    if (trail?.list === list && Array.isArray(trail.cursors)) return trail.cursors;
  } catch {
    // Storage may be forbidden; the way back is then the first page.
  }
  return [""];
}

/**
 * Remembers that a page was turned.
 * @param {string} list its filters and order, without the page
 * @param {string} from cursor of the page left
 * @param {string} to cursor of the page turned to
 */
export function turned(list, from, to) {
  const cursors = trailOf(list);
  const at = cursors.indexOf(from);
  const kept = at === -1 ? ["", from] : cursors.slice(0, at + 1);
  if (to !== "" && !cursors.slice(0, at + 1).includes(to)) kept.push(to);
  try {
    sessionStorage.setItem(NAME, JSON.stringify({ list, cursors: kept }));
  } catch {
    // As above.
  }
}

/**
 * The cursor of the page before; the first page's is empty, and there is none before that.
 * @param {string} list
 * @param {string} cursor
 * @returns {string | null}
 */
export function pageBefore(list, cursor) {
  if (cursor === "") return null;
  const cursors = trailOf(list);
  return cursors[cursors.indexOf(cursor) - 1] ?? "";
}
