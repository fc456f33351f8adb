// What this browser remembers of one person's habits: never data, only choices of look and columns.

/**
 * @param {string} name
 * @returns {string | null}
 */
export function kept(name) {
  try {
    return localStorage.getItem(`hunter.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string | null} value
 */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(`hunter.${name}`);
    else localStorage.setItem(`hunter.${name}`, value);
  } catch {
    // Storage may be forbidden or full; the choice then lasts as long as the page.
  }
}
