"use strict";
(() => {
  // Tables sort by the unrounded numbers of their rows; what is unknown stays below.
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), body = button.closest("table").tBodies[0], name = "data-" + button.dataset.sort;
      const down = head.getAttribute("aria-sort") !== "descending";
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

  const chart = document.getElementById("together");
  if (!chart || !charts.ready([chart], "this page")) return;
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const whole = figure.layout.xaxis.range.slice();
  // A finger must be able to scroll past the chart.
  figure.layout.dragmode = charts.narrow(chart) ? false : "zoom";
  // The cursor tells each row's name once, before its groups.
  const rows = { lead: figure.layout.annotations[0].text.replace(/<\/?b>|  .*/g, ""), reacting: "reacting", valence: "net positivity", n: "" };
  for (const trace of figure.data) {
    if (trace.meta) trace.name = trace.meta === "n" ? trace.name : `${trace.name}, ${rows[trace.meta].toLowerCase()}`;
  }
  const step = figure.data.find((trace) => trace.dx).dx;
  const reach = () => charts.reach(chart, step);
  charts.draw(chart, figure).then(() => {
    reach();
    chart.on("plotly_afterplot", reach);
  });
  charts.zoom(chart, whole);
  charts.onNewColours(() => charts.repaint(chart));
  addEventListener("beforeprint", () => charts.paper(chart, 520));
  addEventListener("afterprint", () => charts.screen(chart));
})();
