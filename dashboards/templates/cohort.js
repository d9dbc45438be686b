"use strict";
(() => {
  const chart = document.getElementById("cohort");
  if (!chart || !charts.canDraw([chart], "this page")) return;
  const figure = JSON.parse(document.getElementById("cohort-figure").textContent);
  const fullRange = figure.layout.xaxis.range.slice();
  // A finger must be able to scroll past the chart.
  figure.layout.dragmode = charts.isNarrow(chart) ? false : "zoom";
  // The cursor names the row of each value; the row of numbers of people says so itself.
  const titles = figure.layout.meta.titles;
  for (const trace of figure.data) {
    if (trace.meta && trace.meta !== "n") trace.name = `${trace.name}, ${titles[trace.meta]}`;
  }
  // Every curve has the same bins, but the bands are polygons and have no `dx`.
  const step = figure.data.find((trace) => trace.dx).dx;
  const limitHover = () => charts.limitHover(chart, step);
  charts.draw(chart, figure).then(() => {
    limitHover();
    chart.on("plotly_afterplot", limitHover);
  });
  charts.zoom(chart, fullRange);
  charts.onThemeChange(() => charts.repaint(chart));
  addEventListener("beforeprint", () => charts.fitToPaper(chart, 520));
  addEventListener("afterprint", () => charts.fitToScreen(chart));
})();
