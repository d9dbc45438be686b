"use strict";
(() => {
  const chart = document.getElementById("timeline");
  if (typeof Plotly === "undefined") {
    chart.innerHTML = "<p class='notice'>The chart needs assets/plotly.min.js beside the reports folder. Keep the whole output folder together, or run <code>ferflow report</code> again.</p>";
    return;
  }
  const figure = JSON.parse(document.getElementById("figure").textContent);
  const axes = Object.keys(figure.layout).filter((name) => /^[xy]axis\d*$/.test(name));
  // The slider shows the first row only; plotly.py has no name for the other rows' part of it.
  for (const axis of axes) {
    if (/^yaxis\d/.test(axis) && axis !== figure.layout.xaxis.anchor.replace("y", "yaxis")) figure.layout.xaxis.rangeslider[axis] = { rangemode: "fixed", range: [1e6, 1e6 + 1] };
  }
  const whole = figure.layout.xaxis.range.slice();

  // The data carries label numbers; words for the cursor are made here, so that the page stays small.
  const lanes = figure.data.find((trace) => trace.type === "heatmap");
  if (lanes) {
    const { labels, names } = lanes.meta;
    const who = (k) => labels.map((label, n) => [label, names.filter((_, lane) => lanes.z[lane][k] === n)])
      .filter(([, people]) => people.length).map(([label, people]) => `${people.join(" ")} ${label}`).join(" · ");
    const text = lanes.z[0].map((_, k) => who(k) || null);
    figure.data.unshift({
      type: "scatter", mode: "markers", name: "people", x0: lanes.x0, dx: lanes.dx, yaxis: lanes.yaxis,
      y: text.map((words) => (words === null ? null : (names.length - 1) / 2)), text,
      marker: { opacity: 0, color: "rgba(0,0,0,0)" }, hovertemplate: "%{text}<extra></extra>",
    });
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
    change["xaxis.rangeslider.bgcolor"] = colour("--page");
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

  // The axis has dates, the page has milliseconds: a bare number may be taken for a year.
  const ms = (date) => Date.parse(String(date).replace(" ", "T") + "Z");
  const date = (time) => new Date(time).toISOString().replace("T", " ").replace("Z", "");
  const [first, last] = whole.map(ms);
  const range = () => chart.layout.xaxis.range.map(ms);
  const show = (start, end) => {
    const length = Math.max(1000, Math.min(end - start, last - first));
    const from = Math.max(first, Math.min(start, last - length));
    return Plotly.relayout(chart, { "xaxis.range": [date(from), date(from + length)] });
  };
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      if (button.dataset.zoom === "all") return show(first, last);
      const [start, end] = range(), half = ((end - start) / 2) * Number(button.dataset.zoom), middle = (start + end) / 2;
      return show(middle - half, middle + half);
    });
  }
  for (const button of document.querySelectorAll("[data-seconds]")) {
    button.addEventListener("click", () => {
      const at = Number(button.dataset.seconds) * 1000;
      const [start, end] = range(), half = Math.min((end - start) / 2, 20000);
      chart.closest("section").scrollIntoView({ block: "start" });
      return show(at - half, at + half).then(() => Plotly.Fx.hover(chart, { xval: at }, "xy"));
    });
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Plotly.relayout(chart, look()));
  // On paper: black on white, as wide as the sheet, and all of it.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { height: chart.layout.height, autosize: true };
    Plotly.relayout(chart, { ...look(), width: 660, height: Math.min(before.height * 0.7, 530), "xaxis.rangeslider.visible": false });
  });
  addEventListener("afterprint", () => {
    Plotly.relayout(chart, { ...look(), ...before, width: null, "xaxis.rangeslider.visible": true }).then(() => Plotly.Plots.resize(chart));
  });
})();
