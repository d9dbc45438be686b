"use strict";
// Charts: the timeline, and the curves around markers. What follows the video is in player.js.
globalThis.ferflow = (() => {
  const chart = document.getElementById("timeline"), around = document.getElementById("around");
  if (typeof Plotly === "undefined") {
    for (const place of [chart, around].filter(Boolean)) {
      place.innerHTML = "<p class='notice'>The chart needs assets/plotly.min.js beside the reports folder. Keep the whole output folder together, or run <code>ferflow report</code> again.</p>";
    }
    return null;
  }
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figure = read("figure");
  const axesOf = (layout) => Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
  // The slider shows the first row only; plotly.py has no name for the other rows' part of it.
  for (const axis of axesOf(figure.layout)) {
    if (/^yaxis\d/.test(axis) && axis !== figure.layout.xaxis.anchor.replace("y", "yaxis")) figure.layout.xaxis.rangeslider[axis] = { rangemode: "fixed", range: [1e6, 1e6 + 1] };
  }
  const whole = figure.layout.xaxis.range.slice();

  // The data carries label numbers; words for the cursor are made here, so that the page stays small.
  const lanes = figure.data.find((trace) => trace.type === "heatmap") || null;
  if (lanes) {
    const { labels, names } = lanes.meta;
    const who = (k) => labels.map((label, n) => [label, names.filter((_, lane) => lanes.z[lane][k] === n)])
      .filter(([, people]) => people.length).map(([label, people]) => `${people.join(", ")}: ${label}`).join(" · ");
    const text = lanes.z[0].map((_, k) => who(k) || null);
    figure.data.unshift({
      type: "scatter", mode: "markers", name: "people", x0: lanes.x0, dx: lanes.dx, yaxis: lanes.yaxis,
      y: text.map((words) => (words === null ? null : (names.length - 1) / 2)), text,
      marker: { opacity: 0, color: "rgba(0,0,0,0)" }, hovertemplate: "%{text}<extra></extra>",
    });
  }
  const marks = figure.data.findIndex((trace) => trace.name === "marks");

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const look = (layout) => {
    const ink = colour("--ink"), soft = colour("--soft"), grid = colour("--grid"), card = colour("--card");
    const change = {
      "font.color": ink, "font.family": getComputedStyle(document.body).fontFamily, "font.size": 12,
      "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": colour("--line"), "hoverlabel.font.color": ink,
      "hoverlabel.font.size": 12,
    };
    for (const axis of axesOf(layout)) {
      change[axis + ".gridcolor"] = grid;
      change[axis + ".zerolinecolor"] = soft;
      change[axis + ".tickfont.color"] = soft;
      change[axis + ".tickfont.size"] = 11;
      change[axis + ".spikecolor"] = soft;
    }
    if (layout.xaxis.rangeslider) {
      change["xaxis.rangeslider.bgcolor"] = colour("--page");
      change["xaxis.rangeslider.bordercolor"] = colour("--line");
    }
    return change;
  };
  const narrow = () => chart.clientWidth < 560;
  const assign = (target, change) => {
    for (const [path, value] of Object.entries(change)) {
      const keys = path.split(".");
      keys.slice(0, -1).reduce((at, key) => (at[key] = at[key] || {}), target)[keys.at(-1)] = value;
    }
  };
  assign(figure.layout, look(figure.layout));
  // A finger must be able to scroll past the chart.
  figure.layout.dragmode = narrow() ? false : "zoom";
  const config = { responsive: true, displayModeBar: false, scrollZoom: false };
  const drawn = Plotly.newPlot(chart, figure.data, figure.layout, config);

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

  // Of the markers' labels, those are written for which there is room.
  const label = () => {
    if (marks < 0) return null;
    const { x, meta } = figure.data[marks], axis = chart._fullLayout.xaxis, [start, end] = range();
    let free = -Infinity;
    const text = x.map((at, k) => {
      const time = ms(at), px = axis.d2p(at);
      if (time < start || time > end || px < free) return "";
      free = px + 16 + 6.3 * meta.marks[k].length;
      return free > axis._length + 8 ? "" : " " + meta.marks[k];
    });
    return Plotly.restyle(chart, { text: [text] }, [marks]);
  };
  const listeners = [];
  drawn.then(label).then(() => {
    chart.on("plotly_relayout", (change) => {
      if ("xaxis.range" in change || "xaxis.range[0]" in change || "xaxis.autorange" in change) label();
      for (const listener of listeners) listener();
    });
    chart.dataset.drawn = "yes";
    if (around) drawAround();
  });

  const drawAround = () => {
    const curves = read("around-figure");
    assign(curves.layout, look(curves.layout));
    if (narrow()) stack(curves.layout);
    return Plotly.newPlot(around, curves.data, curves.layout, config).then(() => { around.dataset.drawn = "yes"; });
  };
  // On a phone the three panels of a row stand one below the other.
  const stack = (layout) => {
    const axes = axesOf(layout).filter((name) => name.startsWith("x")), rows = axes.length, old = layout.height;
    layout.height = 210 * rows + 34;
    const at = (k) => [1 - (k + 1) / rows, 1 - k / rows - 56 / (210 * rows)];
    axes.sort((a, b) => Number(a.slice(5) || 1) - Number(b.slice(5) || 1)).forEach((name, k) => {
      layout[name].domain = [0, 1];
      layout[name.replace("x", "y")].domain = at(k);
      Object.assign(layout.annotations[k], { x: 0, y: at(k)[1] });
    });
    return old;
  };

  const relook = () => {
    Plotly.relayout(chart, look(chart.layout));
    if (around && around.layout) Plotly.relayout(around, look(around.layout));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", relook);
  // On paper: black on white, as wide as the sheet, and all of it.
  const paper = (place, height) => {
    place.before = { height: place.layout.height, autosize: true };
    const slider = place === chart ? { "xaxis.rangeslider.visible": false } : {};
    Plotly.relayout(place, { ...look(place.layout), width: 660, height, ...slider });
  };
  const screen = (place) => {
    const slider = place === chart ? { "xaxis.rangeslider.visible": true } : {};
    Plotly.relayout(place, { ...look(place.layout), ...place.before, width: null, ...slider }).then(() => Plotly.Plots.resize(place));
  };
  addEventListener("beforeprint", () => {
    paper(chart, Math.min(chart.layout.height * 0.75, 600));
    if (around && around.layout) paper(around, around.layout.height * 0.8);
  });
  addEventListener("afterprint", () => {
    screen(chart);
    if (around && around.layout) screen(around);
  });

  return {
    chart, data: figure.data, lanes, facts: read("facts"), drawn, show, range, date,
    /** Seconds of the axis, from and to. */
    span: [first / 1000, last / 1000],
    /** Seconds per drawn bin. */
    step: figure.data.find((trace) => trace.dx).dx / 1000,
    onView: (listener) => listeners.push(listener),
  };
})();
