"use strict";
// What all charts share: colours, screen and paper, the time axis, zoom.
globalThis.charts = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axesOf = (layout) => Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
  const isNarrow = (chart) => chart.clientWidth < 560;

  /** Colours and fonts of the page, as a change of a layout. */
  const themeOf = (layout) => {
    const ink = colour("--ink"), soft = colour("--soft"), grid = colour("--grid"), card = colour("--card");
    const change = {
      "font.color": ink, "font.family": getComputedStyle(document.body).fontFamily, "font.size": 12,
      "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": colour("--line"), "hoverlabel.font.color": ink,
      "hoverlabel.font.size": 10.5,
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

  /** Draw a figure in the colours of the page; resolves once it is drawn. */
  const draw = (element, figure) => {
    for (const [path, value] of Object.entries(themeOf(figure.layout))) {
      const keys = path.split(".");
      keys.slice(0, -1).reduce((at, key) => (at[key] = at[key] || {}), figure.layout)[keys.at(-1)] = value;
    }
    return Plotly.newPlot(element, figure.data, figure.layout, { responsive: true, displayModeBar: false, scrollZoom: false })
      .then(() => { element.dataset.drawn = "yes"; });
  };
  /** Whether charts can be drawn; if not, a notice in place of each says why. */
  const canDraw = (elements, place) => {
    if (typeof Plotly !== "undefined") return true;
    for (const element of elements) {
      element.innerHTML = `<p class='notice'>The chart needs assets/plotly.min.js next to ${place}. Keep the output folder complete, or run <code>ferflow report</code> again.</p>`;
    }
    return false;
  };

  // The axis has dates, the page has milliseconds: plotly may take a bare number for a year.
  const toMilliseconds = (date) => Date.parse(String(date).replace(" ", "T") + "Z");
  const toDate = (milliseconds) => new Date(milliseconds).toISOString().replace("T", " ").replace("Z", "");
  /** The visible range of a chart in milliseconds, and how to change it: by a call, or by the buttons of the chart. */
  const zoom = (chart, fullRange) => {
    const [first, last] = fullRange.map(toMilliseconds);
    const range = () => chart.layout.xaxis.range.map(toMilliseconds);
    const show = (start, end) => {
      // At least a second, and moved into the data with its length kept.
      const length = Math.max(1000, Math.min(end - start, last - first));
      const from = Math.max(first, Math.min((start + end - length) / 2, last - length));
      return Plotly.relayout(chart, { "xaxis.range": [toDate(from), toDate(from + length)] });
    };
    for (const button of document.querySelectorAll(`[data-chart="${chart.id}"] [data-zoom]`)) {
      button.addEventListener("click", () => {
        if (button.dataset.zoom === "all") return show(first, last);
        const [start, end] = range(), half = ((end - start) / 2) * Number(button.dataset.zoom), middle = (start + end) / 2;
        return show(middle - half, middle + half);
      });
    }
    return { range, show, first, last };
  };
  /** Let the cursor show the values of the bin it is in (`step` milliseconds wide), and of no other: a gap stays a gap. */
  const limitHover = (chart, step) => {
    // plotly has no option for it in data units: `hoverdistance` is in pixels, so it follows each zoom. A change of the
    // layout would draw the chart again, the full layout does not.
    const axis = chart._fullLayout.xaxis, [start, end] = axis.range.map(toMilliseconds);
    chart._fullLayout.hoverdistance = Math.ceil((axis._length * step) / (end - start) / 2);
  };

  const repaint = (chart) => Plotly.relayout(chart, themeOf(chart.layout));
  const onThemeChange = (listener) => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener);
  // An A4 sheet between its margins, in pixels, less what rounding may add.
  const SHEET = { width: 703, height: 1026 };
  /** What `read` returns while the page is laid out as on paper: browsers lay it out so only after `beforeprint`. */
  const onPaper = (read) => {
    const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]).filter((rule) => rule.media?.mediaText === "print");
    const { width } = document.body.style;
    for (const rule of rules) rule.media.mediaText = "all";
    document.body.style.width = `${SHEET.width}px`;
    try {
      return read();
    } finally {
      for (const rule of rules) rule.media.mediaText = "print";
      document.body.style.width = width;
    }
  };
  /** Of the layouts of a chart, the tallest that fits below what comes before it on the first sheet, else on a sheet of its own. */
  const chooseLayout = (chart, layouts) => onPaper(() => {
    const section = chart.closest("section"), top = section.getBoundingClientRect().top - document.body.getBoundingClientRect().top;
    const around = section.offsetHeight - chart.offsetHeight, fits = (room) => layouts.find(({ height }) => height + around <= room);
    const onFirst = fits(SHEET.height - top), layout = onFirst ?? fits(SHEET.height) ?? layouts.at(-1);
    return { layout, room: onFirst || top > SHEET.height ? 0 : SHEET.height - top };
  });
  /** Where a chart needs a sheet of its own, put sections that fit on the rest of the first one before it; returns what undoes it. */
  const fillSheet = (section, room, ids) => {
    const moved = [];
    for (const id of room ? ids : []) {
      const other = document.querySelector(`[data-section=${id}]`), height = other ? onPaper(() => other.offsetHeight) + 10 : Infinity;
      if (height > room) continue;
      moved.push([other, other.nextElementSibling]);
      section.before(other);
      room -= height;
    }
    return () => { for (const [other, next] of moved.reverse()) next.before(other); };
  };
  /** Height on paper of a chart of many small ones: on one sheet, as long as titles have room between them. */
  const paperHeight = (height) => Math.min(height, Math.max(0.9 * SHEET.height, 0.6 * height));
  /** Place the rows as on screen or on paper, as a change of the layout; titles and thresholds follow their axes. */
  const placeRows = (chart, { domains }) => {
    const change = {};
    for (const [axis, domain] of Object.entries(domains)) change[`${axis.replace("y", "yaxis")}.domain`] = domain;
    // Lines and bands of markers reach from the top of their row, the first one, to the bottom of all.
    (chart.layout.shapes || []).forEach((shape, k) => { if (shape.yref === "paper") change[`shapes[${k}].y1`] = domains.y[1]; });
    return change;
  };
  /** For paper: its colours, and the width of the sheet. */
  const fitToPaper = (chart, height, more = {}) => {
    chart.screenSize = { height: chart.layout.height, autosize: true };
    return Plotly.relayout(chart, { ...themeOf(chart.layout), width: 660, height, ...more });
  };
  const fitToScreen = (chart, more = {}) => Plotly.relayout(chart, { ...themeOf(chart.layout), ...chart.screenSize, width: null, ...more })
    .then(() => Plotly.Plots.resize(chart));

  return { axesOf, isNarrow, draw, canDraw, toMilliseconds, toDate, zoom, limitHover, repaint, onThemeChange, SHEET, onPaper, chooseLayout, fillSheet, paperHeight, placeRows, fitToPaper, fitToScreen };
})();
