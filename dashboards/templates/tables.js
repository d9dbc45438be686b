"use strict";
// On a phone, a row of a table becomes a block with the heading of its column above each value (style.css).
for (const table of document.querySelectorAll("main table")) {
  const headings = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.dataset.label ?? cell.textContent.replaceAll("\u00ad", "").trim());
  if (!headings.length) continue;
  table.classList.add("stacked");
  // A block is no table for a screen reader, unless it says so.
  table.setAttribute("role", "table");
  for (const body of table.tBodies) {
    body.setAttribute("role", "rowgroup");
    for (const row of body.rows) {
      // A cell that spans rows is in the first of them only; one that spans columns is the last.
      const first = row === body.rows[0] ? 0 : body.rows[0].cells[0].rowSpan > 1 ? 1 : 0;
      row.setAttribute("role", "row");
      for (const [k, cell] of [...row.cells].entries()) {
        cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
        cell.dataset.label = headings[first + k] ?? "";
      }
    }
  }
}
