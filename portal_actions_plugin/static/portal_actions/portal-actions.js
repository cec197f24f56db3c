// Counts a wait down to its end. Without this script the page still says how long the wait was when it was made.
"use strict";
(() => {
  const words = (seconds) => {
    const minutes = Math.floor(seconds / 60);
    return (minutes ? `${minutes} min ` : "") + `${seconds % 60} s`;
  };

  const countDown = (element) => {
    const end = Date.now() + Number(element.dataset.paCountdown) * 1000;
    const left = element.querySelector("[data-pa-left]");
    const tick = () => {
      const seconds = Math.ceil((end - Date.now()) / 1000);
      if (seconds > 0) {
        left.textContent = words(seconds);
        setTimeout(tick, 250);
        return;
      }
      element.textContent = element.dataset.paThen;
      element.closest(".portal-actions").querySelectorAll("[data-pa-waits]").forEach((button) => {
        button.disabled = false;
      });
    };
    tick();
  };

  document.querySelectorAll(".portal-actions [data-pa-countdown]").forEach(countDown);
})();
