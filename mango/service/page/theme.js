// Light or dark, before anything is painted: a plain script, for a module would run only after the first paint.
(() => {
  const KEY = "mango-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  const dark = () => (localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light")) === "dark";

  const show = () => {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
    const button = document.getElementById("theme");
    if (!button) return;
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`);
  };

  // What the system prefers is not stored, so that who goes back to it follows it again.
  const toggle = () => {
    const wanted = !dark();
    if (wanted === system.matches) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, wanted ? "dark" : "light");
    show();
  };

  show();
  system.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", toggle);
    show();
  });
})();
