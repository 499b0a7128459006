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
  // A stacked list names each value by the head of its column; the first and the wide ones speak for themselves.
  const name = (within) => {
    for (const table of within.querySelectorAll("table.stack")) {
      const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
      for (const row of table.querySelectorAll("tbody tr:not(.under)")) {
        [...row.cells].forEach((cell, at) => {
          if (at && heads[at] && cell.textContent.trim() && !cell.matches(".wide")) cell.dataset.label = heads[at];
        });
      }
    }
  };
  document.addEventListener("DOMContentLoaded", () => name(document));
  document.addEventListener("htmx:afterSettle", () => name(document));
  // Keys: an element's own (`data-key`), and j, k, Enter in the rows of a table (`data-rows`).
  const rows = () => [...document.querySelectorAll("table[data-rows] tbody tr:not(.snippet)")];
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const own = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (own) {
      event.preventDefault();
      return own.matches("input") ? own.focus() : own.click();
    }
    if (event.key !== "j" && event.key !== "k") return;
    const all = rows();
    const at = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[Math.max(0, Math.min(all.length - 1, at + (event.key === "j" ? 1 : -1)))];
    const link = next && next.querySelector("a[href]");
    if (link) link.focus();
  });
})();
