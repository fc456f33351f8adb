// Runs before the first paint, so that neither theme nor language flickers. A classic script on purpose.
(() => {
  const root = document.documentElement;
  let theme = null;
  let language = null;
  try {
    theme = localStorage.getItem("hunter.theme");
    language = localStorage.getItem("hunter.language");
  } catch {
    // Storage may be forbidden; the browser's own preferences then decide.
  }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const known = ["tr", "en"];
  const wanted = [language, ...navigator.languages].map((tag) => (tag ?? "").slice(0, 2).toLowerCase());
  root.lang = wanted.find((tag) => known.includes(tag)) ?? "en";
})();
