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
  if (!chart) return;
  if (typeof Plotly === "undefined") {
    chart.innerHTML = "<p class='notice'>The chart needs assets/plotly.min.js beside this page. Keep the whole output folder together, or run <code>ferflow report</code> again.</p>";
    return;
  }
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const axes = Object.keys(figure.layout).filter((name) => /^[xy]axis\d*$/.test(name));
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const look = () => {
    const change = {
      "font.color": colour("--ink"), "font.family": getComputedStyle(document.body).fontFamily, "font.size": 12,
      "hoverlabel.bgcolor": colour("--card"), "hoverlabel.bordercolor": colour("--line"), "hoverlabel.font.color": colour("--ink"),
      "hoverlabel.font.size": 12,
    };
    for (const axis of axes) {
      change[axis + ".gridcolor"] = colour("--grid");
      for (const part of [".zerolinecolor", ".tickfont.color", ".spikecolor"]) change[axis + part] = colour("--soft");
      change[axis + ".tickfont.size"] = 11;
    }
    return change;
  };
  for (const [path, value] of Object.entries(look())) {
    const keys = path.split(".");
    keys.slice(0, -1).reduce((at, key) => (at[key] = at[key] || {}), figure.layout)[keys.at(-1)] = value;
  }
  // A finger must be able to scroll past the chart.
  figure.layout.dragmode = chart.clientWidth < 560 ? false : "zoom";
  // The cursor tells each row's name once, before its groups.
  const rows = { lead: figure.layout.annotations[0].text.replace(/<\/?b>|  .*/g, ""), reacting: "reacting", valence: "net positivity", n: "" };
  for (const trace of figure.data) {
    if (trace.meta) trace.name = trace.meta === "n" ? trace.name : `${trace.name}, ${rows[trace.meta].toLowerCase()}`;
  }
  Plotly.newPlot(chart, figure.data, figure.layout, { responsive: true, displayModeBar: false, scrollZoom: false })
    .then(() => { chart.dataset.drawn = "yes"; });

  const ms = (date) => Date.parse(String(date).replace(" ", "T") + "Z");
  const date = (time) => new Date(time).toISOString().replace("T", " ").replace("Z", "");
  // A place is told the points of its own step, however wide that is drawn, and no others: a gap stays one.
  const step = figure.data.find((trace) => trace.dx).dx;
  const reach = () => {
    const axis = chart._fullLayout.xaxis, [start, end] = axis.range.map(ms);
    chart._fullLayout.hoverdistance = Math.ceil((axis._length * step) / (end - start) / 2);
  };
  chart.on("plotly_afterplot", reach);
  reach();
  const [first, last] = figure.layout.xaxis.range.map(ms);
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      const [start, end] = button.dataset.zoom === "all" ? [first, last] : chart.layout.xaxis.range.map(ms);
      const factor = button.dataset.zoom === "all" ? 1 : Number(button.dataset.zoom);
      const length = Math.max(1000, Math.min((end - start) * factor, last - first));
      const from = Math.max(first, Math.min((start + end - length) / 2, last - length));
      return Plotly.relayout(chart, { "xaxis.range": [date(from), date(from + length)] });
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Plotly.relayout(chart, look()));
  addEventListener("beforeprint", () => Plotly.relayout(chart, { ...look(), width: 660, height: 520 }));
  addEventListener("afterprint", () => {
    Plotly.relayout(chart, { ...look(), width: null, height: figure.layout.height, autosize: true }).then(() => Plotly.Plots.resize(chart));
  });
})();
