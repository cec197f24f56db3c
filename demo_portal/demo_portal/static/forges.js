// Suggests forges and their owners in fields that are for one, as GET /api/v1/scm lists them. Without it they are typed.
"use strict";

(async () => {
  const fields = document.querySelectorAll("input[data-forges]");
  if (!fields.length) return;
  const answer = await fetch("/api/v1/scm", { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const forges = (await answer.json()).data;
  for (const field of fields) {
    const list = field.list || document.createElement("datalist");
    const known = new Set([...list.options].map((option) => option.value));
    list.id = `${field.id}-list`;
    for (const value of new Set(forges.flatMap((forge) => forge[field.dataset.forges]))) {
      if (!known.has(value)) list.append(new Option(value, value));
    }
    field.after(list);
    field.setAttribute("list", list.id);
  }
})();
