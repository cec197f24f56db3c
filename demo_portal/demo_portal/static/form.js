// Shows the fields of what is chosen at once. Without it, a button does.
"use strict";

(() => {
  const fields = document.querySelector("#fields[data-open]");
  if (!fields) return;
  const form = fields.closest("form");
  document.querySelector("[data-next]").hidden = true;
  let asked = 0;

  fields.addEventListener("change", async (event) => {
    const mine = ++asked;
    const body = new FormData(form);
    body.set("step", "show");
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#fields");
    if (!answer.ok || !page || mine !== asked) return;
    const ids = (from) => [...from.querySelectorAll("[id]")].map((one) => one.id).join(" ");
    if (ids(page) === ids(fields)) return;
    keep(page);
    const focused = document.activeElement;
    const again = focused && focused.id ? `#${CSS.escape(focused.id)}` : null;
    const caret = focused && focused.selectionStart;
    fields.replaceChildren(...page.childNodes);
    const next = again && fields.querySelector(again);
    if (next) {
      next.focus();
      if (typeof caret === "number") next.setSelectionRange(caret, caret);
    }
  });

  // What was typed since the question, and secrets, which no page ever has.
  function keep(page) {
    for (const now of fields.querySelectorAll("input[id], select[id], textarea[id]")) {
      const then = page.querySelector(`#${CSS.escape(now.id)}`);
      if (!then || then.tagName !== now.tagName || then.type !== now.type) continue;
      if (now.type === "checkbox") then.checked = now.checked;
      else if (now.tagName !== "SELECT" || [...then.options].some((option) => option.value === now.value)) then.value = now.value;
    }
  }
})();
