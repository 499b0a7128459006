"use strict";
(() => {
  const root = document.documentElement;
  const kept = localStorage.getItem("theme");
  if (kept) root.dataset.theme = kept;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined && navigator.clipboard) {
      navigator.clipboard.writeText(button.dataset.copy).then(() => {
        button.classList.add("done");
        setTimeout(() => button.classList.remove("done"), 1200);
      });
    }
    if (button.dataset.themeToggle !== undefined) {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
    }
    if (button.dataset.menuToggle !== undefined) {
      const open = document.body.classList.toggle("menu-open");
      button.setAttribute("aria-expanded", String(open));
    }
  });
})();
