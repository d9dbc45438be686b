"use strict";
(() => {
  const chart = document.getElementById("timeline");
  if (typeof Plotly === "undefined") {
    chart.innerHTML = "<p class='notice'>The chart needs assets/plotly.min.js beside the reports folder. Keep the whole output folder together, or run <code>ferflow report</code> again.</p>";
    return;
  }
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const axes = Object.keys(figure.layout).filter((name) => /^[xy]axis\d*$/.test(name));
  const whole = figure.layout.xaxis.range.slice();

  // The data carries label numbers; words for the cursor are made here, so that the page stays small.
  const lanes = figure.data.find((trace) => trace.type === "heatmap");
  if (lanes) {
    lanes.text = lanes.z.map((lane) => lane.map((k) => (k === null ? "" : lanes.meta.labels[k])));
    lanes.hoverinfo = "text";
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const look = () => {
    const ink = colour("--ink"), soft = colour("--soft"), grid = colour("--grid"), card = colour("--card");
    const change = {
      "font.color": ink, "font.family": getComputedStyle(document.body).fontFamily, "font.size": 12,
      "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": colour("--line"), "hoverlabel.font.color": ink,
      "hoverlabel.font.size": 12,
    };
    for (const axis of axes) {
      change[axis + ".gridcolor"] = grid;
      change[axis + ".zerolinecolor"] = soft;
      change[axis + ".tickfont.color"] = soft;
      change[axis + ".tickfont.size"] = 11;
      change[axis + ".spikecolor"] = soft;
    }
    change["xaxis.rangeslider.bgcolor"] = grid;
    change["xaxis.rangeslider.bordercolor"] = colour("--line");
    return change;
  };
  const narrow = () => chart.clientWidth < 560;
  const assign = (target, change) => {
    for (const [path, value] of Object.entries(change)) {
      const keys = path.split(".");
      keys.slice(0, -1).reduce((at, key) => (at[key] = at[key] || {}), target)[keys.at(-1)] = value;
    }
  };
  assign(figure.layout, look());
  // A finger must be able to scroll past the chart.
  figure.layout.dragmode = narrow() ? false : "zoom";
  const drawn = Plotly.newPlot(chart, figure.data, figure.layout, { responsive: true, displayModeBar: false, scrollZoom: false });
  drawn.then(() => { chart.dataset.drawn = "yes"; });

  const range = () => chart.layout.xaxis.range.map((value) => (typeof value === "number" ? value : Date.parse(value.replace(" ", "T") + "Z")));
  const show = (start, end) => {
    const length = Math.min(end - start, whole[1] - whole[0]);
    const from = Math.max(whole[0], Math.min(start, whole[1] - length));
    return Plotly.relayout(chart, { "xaxis.range": [from, from + length] });
  };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      if (button.dataset.zoom === "all") return show(whole[0], whole[1]);
      const [start, end] = range(), half = ((end - start) / 2) * Number(button.dataset.zoom), middle = (start + end) / 2;
      return show(middle - half, middle + half);
    });
  }
  for (const button of document.querySelectorAll("[data-seconds]")) {
    button.addEventListener("click", () => {
      const at = Number(button.dataset.seconds) * 1000;
      const [start, end] = range(), half = Math.min((end - start) / 2, 20000);
      chart.closest("section").scrollIntoView({ block: "start" });
      return show(at - half, at + half).then(() => Plotly.Fx.hover(chart, { xval: at }, "xy")).catch(() => {});
    });
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Plotly.relayout(chart, look()));
  // On paper: black on white, as wide as the sheet, and all of it.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { width: chart.layout.width, autosize: true };
    Plotly.relayout(chart, { ...look(), width: 668, "xaxis.rangeslider.visible": false });
  });
  addEventListener("afterprint", () => {
    Plotly.relayout(chart, { ...look(), ...before, "xaxis.rangeslider.visible": true }).then(() => Plotly.Plots.resize(chart));
  });
})();
