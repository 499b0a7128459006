"use strict";
(() => {
  const list = document.getElementById("list");
  const links = () => document.querySelectorAll(".text a").forEach((link) => { link.target = "_blank"; link.rel = "noopener"; });
  const refresh = async () => {
    try {
      const answer = await fetch(`/list?chosen=${list.dataset.chosen}`);
      const fresh = answer.ok ? await answer.text() : "";
      if (fresh && fresh.trim() !== list.innerHTML.trim()) list.innerHTML = fresh;
      document.body.classList.remove("gone");
    } catch {
      document.body.classList.add("gone");
    }
  };
  links();
  setInterval(refresh, 2000);
})();
