"use strict";
// Charts: the timeline, and the curves around markers. The video and the current time are in player.js.
globalThis.ferflow = (() => {
  const chart = document.getElementById("timeline"), around = document.getElementById("around");
  if (!charts.canDraw([chart, around].filter(Boolean), "the reports folder")) return null;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figure = read("timeline-figure");
  const facts = read("facts");
  const fullRange = figure.layout.xaxis.range.slice();

  // The data holds numbers of labels; the texts for the cursor are made here, so that the page stays small.
  const escaped = (text) => (text === undefined ? "" : text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"));
  // Every curve has the same bins; `dx` is in milliseconds, since the axis has dates.
  const step = figure.data.find((trace) => trace.dx).dx / 1000, fullEnd = charts.toMilliseconds(fullRange[1]) / 1000;
  // The video may end within its last bin.
  const nBins = Math.ceil(fullEnd / step - 1e-6), bins = Array.from({ length: nBins }, (_, k) => k);
  // A line of the cursor's label, in the place of a trace. A line without width: of markers without size, a browser would
  // still make an element each.
  const addHoverLine = (name, yaxis, text, height, place) => figure.data.splice(place, 0, {
    type: "scatter", mode: "lines", x0: charts.toDate(step * 500), dx: step * 1000, xaxis: "x", yaxis, name,
    y: text.map((words) => (words ? height : null)), text, line: { width: 0, color: "rgba(0,0,0,0)" }, connectgaps: false,
    hovertemplate: name ? "%{text}" : "%{text}<extra></extra>",
  });
  const percent = (share) => (share > 0 && share < 0.01 ? "<1" : share > 0.99 && share < 1 ? ">99" : Math.round(100 * share)) + "%";
  /** One line for the parts of a stack, without those that are zero; areas have one more bin in front. */
  const joinStack = (group, name) => {
    const parts = figure.data.filter((trace) => trace.stackgroup === group);
    if (!parts.length) return;
    const text = bins.map((k) => parts.filter(({ y }) => y[k + 1] > 0).sort((a, b) => b.y[k + 1] - a.y[k + 1])
      .map(({ name: part, y }) => `${part} ${percent(y[k + 1])}`).join(", "));
    const place = figure.data.indexOf(parts[0]);
    for (const part of parts) Object.assign(part, { hoverinfo: "skip", hovertemplate: null });
    addHoverLine(name, parts[0].yaxis, text, 0.5, place);
  };
  const lanes = figure.data.find((trace) => trace.type === "heatmap") || null;
  if (lanes) {
    const { labels, names } = lanes.meta;
    // Of more than three people, how many: their names are among the values at the current time.
    const describeLanes = (k) => labels.map((label, n) => [label, names.filter((_, lane) => lanes.z[lane][k] === n)])
      .filter(([, people]) => people.length).map(([label, people]) => (names.length > 3 ? `${people.length} ${label}` : `${people.join(", ")}: ${label}`)).join(" · ");
    // In front: the cursor's label lists the last trace first, and the people come last.
    addHoverLine(names.length > 3 ? "people" : "", lanes.yaxis, bins.map(describeLanes), (names.length - 1) / 2, 0);
  }
  joinStack("shares", "shown");
  joinStack("coverage", "coverage");
  // The two areas that net positivity is the difference of are read off their axis.
  for (const trace of figure.data) if (trace.stackgroup && !trace.hovertemplate && !trace.hoverinfo) trace.hoverinfo = "skip";
  // Labels of the markers by bin: instants in one bin, segments in all of theirs.
  const markersTrace = figure.data.find((trace) => trace.name === "markers");
  const markersByBin = new Map();
  const addMarker = (k, label) => {
    const labels = markersByBin.get(k) || markersByBin.set(k, []).get(k);
    if (!labels.includes(label)) labels.push(label);
  };
  for (const [time, label] of facts.markers) addMarker(Math.floor(time / step + 1e-9), label);
  for (const [start, end, label] of facts.segments) {
    for (let k = Math.floor(start / step + 1e-9); k < end / step - 1e-9; k++) addMarker(k, label);
  }
  for (const [k, labels] of markersByBin) markersByBin.set(k, labels.slice(0, 3).join(", ") + (labels.length > 3 ? ` and ${labels.length - 3} more` : ""));
  if (markersTrace) addHoverLine("", markersTrace.yaxis, bins.map((k) => escaped(markersByBin.get(k))), 0.5, figure.data.length);
  // What is said, by bin.
  const speechTrace = figure.data.find((trace) => trace.name === "speech"), saidByBin = new Map();
  for (const [start, end, text] of facts.speech) {
    for (let k = Math.floor(start / step + 1e-9); k < end / step - 1e-9; k++) (saidByBin.get(k) || saidByBin.set(k, []).get(k)).push(text);
  }
  const describeSaid = (said) => said && said.slice(0, 2).join(" / ") + (said.length > 2 ? " …" : "");
  if (speechTrace) addHoverLine("said", speechTrace.yaxis, bins.map((k) => escaped(describeSaid(saidByBin.get(k)))), 0.5, figure.data.length);

  // A finger must be able to scroll past the chart.
  const narrow = charts.isNarrow(chart);
  figure.layout.dragmode = narrow ? false : "zoom";
  if (narrow) for (const axis of ["xaxis", "xaxis2"]) Object.assign(figure.layout[axis], { nticks: 4, tickangle: 0 });
  const drawn = charts.draw(chart, figure);
  const { range, show, first, last } = charts.zoom(chart, fullRange);

  // Labels of markers are written where there is room.
  const area = chart.parentElement;
  const placeMarkerLabels = () => {
    area.querySelectorAll(".marker-label").forEach((old) => old.remove());
    if (!markersTrace) return;
    const layout = chart._fullLayout, axis = layout.xaxis, row = layout[markersTrace.yaxis.replace("y", "yaxis")], [start, end] = range();
    // Instants above, segments below, as markers_row.py draws them.
    for (const [labelled, height] of [[facts.markers, 0.75], [facts.segments.map(([start, , text]) => [start, text]).sort((a, b) => a[0] - b[0]), 0.25]]) {
      let freeFrom = -Infinity;
      const gap = height > 0.5 ? 14 : 0, places = labelled.map(([time]) => axis.d2p(charts.toDate(time * 1000)));
      for (const [k, [time, text]] of labelled.entries()) {
        const px = places[k];
        if (time * 1000 < start || time * 1000 > end || px < freeFrom) continue;
        const tag = document.createElement("bdi");
        tag.className = "marker-label";
        tag.textContent = text.length > 28 ? text.slice(0, 27) + "…" : text;
        Object.assign(tag.style, { left: `${axis._offset + chart.offsetLeft + px + (height > 0.5 ? 7 : 3)}px`, top: `${row._offset + row.d2p(height)}px` });
        area.append(tag);
        // A label that would cover the next marker is left out; the cursor and the list show it.
        const next = places.find((other, later) => later > k && other > px) ?? Infinity;
        if (px + tag.offsetWidth > axis._length || (gap && px + gap + tag.offsetWidth > next)) tag.remove();
        else freeFrom = px + 12 + tag.offsetWidth;
      }
    }
  };
  // The middle of the last bin may lie after the end of the video. The cursor's label then names a time before it;
  // plotly writes the label anew with each move of the pointer and tells only when its values change.
  const stamp = (milliseconds) => charts.toDate(milliseconds).slice(last < 3600000 ? 14 : 12, -2);
  const lastStart = Math.floor(last / step / 1000 + 1e-6) * step * 1000, lastMiddle = lastStart + step * 500;
  const correctTitle = () => {
    const title = chart.querySelector(".hoverlayer .legendtitletext");
    if (title && title.textContent === stamp(lastMiddle)) title.textContent = stamp((lastStart + last) / 2);
  };
  const watchTitle = () => new MutationObserver(correctTitle).observe(chart.querySelector(".hoverlayer"), { childList: true, subtree: true });
  const listeners = [placeMarkerLabels, () => charts.limitHover(chart, step * 1000)];
  drawn.then(() => {
    listeners.forEach((listener) => listener());
    if (lastStart < last && lastMiddle > last) watchTitle();
    chart.on("plotly_afterplot", () => listeners.forEach((listener) => listener()));
    if (around) {
      // Drawn when it comes near the visible part: it must not delay the timeline.
      const observer = new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting)) drawAround();
      }, { rootMargin: "600px" });
      observer.observe(around);
    }
  });

  const drawAround = () => {
    if (around.dataset.drawn) return;
    around.dataset.drawn = "soon";
    const curves = read("around-figure");
    if (charts.isNarrow(chart)) charts.stackPanels(curves.layout, 210, 56);
    charts.draw(around, curves);
  };

  charts.onThemeChange(() => {
    charts.repaint(chart);
    if (around && around.layout) charts.repaint(around);
  });
  const { screen, paper } = figure.layout.meta;
  let undo = [];
  addEventListener("beforeprint", () => {
    const { layout, restore } = charts.arrangeSheets(chart, paper, ["peaks", "people", "segments", "glossary"]);
    undo = [restore, ...(around ? [charts.printPanels(around, read("around-figure"))] : [])];
    // On paper there is no slider.
    charts.fitToPaper(chart, layout.height, { "xaxis2.rangeslider.visible": false, ...charts.placeRows(chart, layout) });
  });
  addEventListener("afterprint", () => {
    for (const step of undo) step();
    charts.fitToScreen(chart, { "xaxis2.rangeslider.visible": true, ...charts.placeRows(chart, screen) });
  });

  return {
    chart, data: figure.data, lanes, facts, markersByBin, drawn, show, range, step,
    /** Seconds of the axis, from and to. */
    span: [first / 1000, last / 1000],
    onRedraw: (listener) => listeners.push(listener),
  };
})();
