// A field above the table of the atlas: rows that have all the words stay.
addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("table.atlas");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map((row) => [row, row.textContent.toLowerCase()]);
  const field = Object.assign(document.createElement("input"), {
    type: "search",
    placeholder: `search ${rows.length} networks`,
  });
  field.setAttribute("aria-label", "search the table");
  field.style.cssText =
    "width: 100%; box-sizing: border-box; padding: .5em; margin-bottom: .5em; font: inherit; color: inherit;" +
    "background: var(--color-background-secondary); border: 1px solid var(--color-foreground-border);";
  const found = document.createElement("p");
  found.setAttribute("aria-live", "polite");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    found.textContent = words.length ? `${shown} of ${rows.length} networks` : "";
  });
  const box = table.closest(".table-wrapper") || table;
  box.before(field, found);
});
