"use strict";
(() => {
  const STALE = 10 * 60;
  const age = document.querySelector("[data-written]");
  const old = document.querySelector("[data-old]");
  const tell = () => {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(age.dataset.written)) / 1000));
    const said = seconds < 90 ? `${seconds} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
    age.textContent = `${said} ago`;
    old.hidden = seconds < STALE;
  };
  if (age && old) { tell(); setInterval(tell, 10000); }
})();
