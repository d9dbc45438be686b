"use strict";
// Tables sort by the unrounded numbers of their rows, the highest first; by name, the first name first. Unknown numbers stay
// at the end.
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = button.closest("table").tBodies[0], name = "data-" + button.dataset.sort;
    const down = button.dataset.first === "up" ? head.getAttribute("aria-sort") === "ascending" : head.getAttribute("aria-sort") !== "descending";
    const key = (row) => (row.getAttribute(name) ? Number(row.getAttribute(name)) : NaN);
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return down ? y - x : x - y;
    });
    for (const other of head.parentElement.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows);
  });
}
