"use strict";
// What the charts of every page share: their looks on screen and on paper, their axis of time, a closer look.
globalThis.charts = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axesOf = (layout) => Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
  const narrow = (chart) => chart.clientWidth < 560;

  /** The page's colours and letters, as a change of a layout. */
  const look = (layout) => {
    const ink = colour("--ink"), soft = colour("--soft"), grid = colour("--grid"), card = colour("--card");
    const change = {
      "font.color": ink, "font.family": getComputedStyle(document.body).fontFamily, "font.size": 12,
      "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": colour("--line"), "hoverlabel.font.color": ink,
      "hoverlabel.font.size": 12,
    };
    for (const axis of axesOf(layout)) {
      change[axis + ".gridcolor"] = grid;
      for (const part of [".zerolinecolor", ".tickfont.color", ".spikecolor"]) change[axis + part] = soft;
      change[axis + ".tickfont.size"] = 11;
      if (!layout[axis].rangeslider) continue;
      change[axis + ".rangeslider.bgcolor"] = colour("--page");
      change[axis + ".rangeslider.bordercolor"] = colour("--line");
    }
    return change;
  };

  /** Draw a figure in the page's looks; settles once it is drawn. */
  const draw = (place, figure) => {
    for (const [path, value] of Object.entries(look(figure.layout))) {
      const keys = path.split(".");
      keys.slice(0, -1).reduce((at, key) => (at[key] = at[key] || {}), figure.layout)[keys.at(-1)] = value;
    }
    return Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displayModeBar: false, scrollZoom: false })
      .then(() => { place.dataset.drawn = "yes"; });
  };
  /** Whether charts can be drawn; if not, their places say why. */
  const ready = (places, beside) => {
    if (typeof Plotly !== "undefined") return true;
    for (const place of places) {
      place.innerHTML = `<p class='notice'>The chart needs assets/plotly.min.js beside ${beside}. Keep the whole output folder together, or run <code>ferflow report</code> again.</p>`;
    }
    return false;
  };

  // The axis has dates, the page has milliseconds: a bare number may be taken for a year.
  const ms = (date) => Date.parse(String(date).replace(" ", "T") + "Z");
  const date = (time) => new Date(time).toISOString().replace("T", " ").replace("Z", "");
  /** The part of a chart's time that is shown, milliseconds, and how to show another: by a call, or by the page's buttons. */
  const zoom = (chart, whole) => {
    const [first, last] = whole.map(ms);
    const range = () => chart.layout.xaxis.range.map(ms);
    const show = (start, end) => {
      const length = Math.max(1000, Math.min(end - start, last - first));
      const from = Math.max(first, Math.min((start + end - length) / 2, last - length));
      return Plotly.relayout(chart, { "xaxis.range": [date(from), date(from + length)] });
    };
    for (const button of document.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => {
        if (button.dataset.zoom === "all") return show(first, last);
        const [start, end] = range(), half = ((end - start) / 2) * Number(button.dataset.zoom), middle = (start + end) / 2;
        return show(middle - half, middle + half);
      });
    }
    return { range, show, first, last };
  };
  /** Let a place be told the points of its own step (milliseconds), however wide that is drawn, and no others: a gap stays one. */
  const reach = (chart, step) => {
    const axis = chart._fullLayout.xaxis, [start, end] = axis.range.map(ms);
    chart._fullLayout.hoverdistance = Math.ceil((axis._length * step) / (end - start) / 2);
  };

  const repaint = (chart) => Plotly.relayout(chart, look(chart.layout));
  const onNewColours = (listener) => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener);
  /** On paper: in its colours, and as wide as the sheet. */
  const paper = (chart, height, more = {}) => {
    chart.before = { height: chart.layout.height, autosize: true };
    return Plotly.relayout(chart, { ...look(chart.layout), width: 660, height, ...more });
  };
  const screen = (chart, more = {}) => Plotly.relayout(chart, { ...look(chart.layout), ...chart.before, width: null, ...more })
    .then(() => Plotly.Plots.resize(chart));

  return { axesOf, narrow, draw, ready, ms, date, zoom, reach, repaint, onNewColours, paper, screen };
})();
