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
      element.innerHTML = document.getElementById("plotly-packed")
        ? "<p class='notice'>This browser cannot unpack the chart: a newer one can. The tables have the same numbers.</p>"
        : `<p class='notice'>The chart needs assets/plotly.min.js next to ${place}. Keep the output folder complete, or run <code>ferflow report</code> again.</p>`;
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
  // An A4 sheet between its margins, in pixels, less what rounding and the measuring of text may add to all of a sheet.
  const SHEET = { width: 703, height: 1012 };
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
  // With less room than this, a sheet ends: a heading and some rows of a table need it.
  const WORTH_FILLING = 150;
  /**
   * The layout of a chart on paper: the tallest that fits below what comes before it on the first sheet. Where none does, sections
   * that fit come before it, then one whose table may go on on the next sheet, next to the chart. `restore` undoes all this.
   */
  const arrangeSheets = (chart, layouts, ids = []) => onPaper(() => {
    const section = chart.closest("section"), top = section.getBoundingClientRect().top - document.body.getBoundingClientRect().top;
    const around = section.offsetHeight - chart.offsetHeight, fits = (room) => layouts.find(({ height }) => height + around <= room);
    const undo = [], restore = () => { for (const step of undo.reverse()) step(); };
    const moveUp = (other) => {
      const next = other.nextElementSibling;
      section.before(other);
      undo.push(() => next.before(other));
    };
    let room = SHEET.height - top, layout = fits(room);
    if (layout || room < 0) return { layout: layout ?? fits(SHEET.height) ?? layouts.at(-1), restore };
    const others = ids.map((id) => document.querySelector(`[data-section=${id}]`)).filter(Boolean)
      .map((element) => ({ element, height: element.offsetHeight + 10 }));
    const tooTall = others.filter(({ element, height }) => {
      if (height > room) return true;
      moveUp(element);
      room -= height;
      return false;
    });
    const divisible = tooTall.filter(({ element }) => room > WORTH_FILLING && element.querySelector(".wide.long"));
    for (const { element, height } of divisible) {
      // The headings of the table are printed again.
      layout = fits(SHEET.height - (height - room) - element.querySelector("thead").offsetHeight - 20);
      if (!layout) continue;
      moveUp(element);
      return { layout, restore };
    }
    return { layout: fits(SHEET.height) ?? layouts.at(-1), restore };
  });
  /** The panels of a figure of many small charts, in the order in which they are read. */
  const panelsOf = (layout) => {
    const number = (name) => Number(name.slice(5) || 1);
    return axesOf(layout).filter((name) => name.startsWith("x")).sort((a, b) => number(a) - number(b))
      .map((x, k) => ({ x, y: x.replace("x", "y"), title: layout.annotations[k] }));
  };
  /** On a phone the panels of a row are stacked: `rowPx` for each with its title, `titlePx` of it for the title. */
  const stackPanels = (layout, rowPx, titlePx) => {
    const panels = panelsOf(layout);
    layout.height = rowPx * panels.length + 34;
    for (const [k, { x, y, title }] of panels.entries()) {
      layout[x].domain = [0, 1];
      layout[y].domain = [1 - (k + 1) / panels.length, 1 - k / panels.length - titlePx / (rowPx * panels.length)];
      Object.assign(title, { x: 0, y: layout[y].domain[1] });
    }
  };
  /** On paper, each row of panels is a chart of its own, so that a sheet may end between any two; returns what undoes it. */
  const printPanels = (area, figure) => {
    const { layout } = figure, plot = layout.height - layout.margin.b, rows = new Map();
    for (const panel of panelsOf(layout)) {
      const top = layout[panel.y].domain[1];
      rows.set(top, [...(rows.get(top) ?? []), panel]);
    }
    // The first row has the room for titles above it, the others have the labels of the row before them there, too.
    const LABELS = 22, above = Math.round((1 - Math.max(...rows.keys())) * plot) - LABELS + 6;
    const sheets = document.createElement("div");
    area.after(sheets);
    area.classList.add("not-printed");
    for (const row of rows.values()) {
      const place = sheets.appendChild(document.createElement("div")), [low, high] = layout[row[0].y].domain;
      place.className = "chart panels";
      // What belongs to a label stays with the row that names it.
      if (sheets.children.length > 1 && !row[0].title.text.startsWith("<b>")) place.style.breakBefore = "avoid";
      const height = Math.round(0.62 * (high - low) * plot), own = { ...layout, width: 660, height: above + height + LABELS };
      for (const name of axesOf(layout)) delete own[name];
      for (const { x, y } of row) Object.assign(own, { [x]: layout[x], [y]: { ...layout[y], domain: [0, 1] } });
      own.margin = { ...layout.margin, t: above, b: LABELS };
      own.annotations = row.map(({ title }) => ({ ...title, y: 1 }));
      const axes = new Set(row.map(({ x }) => x.replace("axis", "")));
      draw(place, { data: figure.data.filter((trace) => axes.has(trace.xaxis ?? "x")), layout: own });
    }
    return () => {
      for (const place of sheets.children) Plotly.purge(place);
      sheets.remove();
      area.classList.remove("not-printed");
    };
  };
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

  return { axesOf, isNarrow, draw, canDraw, toMilliseconds, toDate, zoom, limitHover, repaint, onThemeChange, arrangeSheets, stackPanels, printPanels, placeRows, fitToPaper, fitToScreen };
})();
