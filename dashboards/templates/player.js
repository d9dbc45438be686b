"use strict";
// One current time for all: the cursor in the timeline, the values, the slider, and the video if there is one.
(() => {
  if (!globalThis.ferflow) return;
  const { chart, data, lanes, facts, markersByBin, span, step, show, range, onRedraw, drawn } = globalThis.ferflow;
  const element = (id) => document.getElementById(id);
  const video = element("video"), cursor = element("cursor"), slider = element("time-slider"), valueList = element("current-values-list");
  let currentTime = 0;
  // A container may start before its first picture, and the page counts from that picture. By how much is known once
  // it has been shown; until then, requests to seek wait.
  let offset = null;

  const tracks = (facts.boxes?.tracks || []).map(({ id, runs }) => ({
    id, runs: runs.map(([first, text, labels, from, to]) => ({ first, labels: labels.replace(/(.)(\d+)/g, (_, letter, n) => letter.repeat(n)), from, to, bytes: Uint8Array.from(atob(text), (char) => char.charCodeAt(0)) })),
  }));

  // Numbers and times as ferflow/text.py and shared/number_format.py write them.
  const timecode = (seconds) => {
    const tenths = Math.floor(Math.max(seconds, 0) * 10 + 0.5 + 1e-6), two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(tenths / 36000), minutes = Math.floor(tenths / 600) % 60, rest = tenths % 600;
    return `${hours ? hours + ":" : ""}${two(minutes)}:${two(Math.floor(rest / 10))}.${rest % 10}`;
  };
  const score = (value) => {
    const size = Math.abs(value), sign = value < 0 ? "−" : "";
    if (size === 0 || size === 1) return sign + size;
    return sign + (size < 0.005 ? "<0.01" : size >= 0.995 ? ">0.99" : size.toFixed(2));
  };
  const signed = (value) => {
    const size = Math.abs(value), sign = value < 0 ? "−" : "+";
    return size === 0 ? "0" : size < 0.005 ? `${sign}0.00` : (value > 0 ? "+" : "") + score(value);
  };
  const percent = (share) => (share > 0 && share < 0.01 ? "<1" : share > 0.99 && share < 1 ? ">99" : Math.round(100 * share)) + "\u202f%";
  const formats = { score, signed, share: percent };
  const curves = facts.measures.map((name) => data.find((trace) => trace.meta?.measure === name)).filter(Boolean);
  const signalValues = (k) => data.find((trace) => trace.meta?.signal === k).y;
  const coverageTraces = data.filter((trace) => trace.stackgroup === "coverage");

  /** The values at a time: pairs of a term and a text. */
  const describe = (time) => {
    // 1e-9: a time on the edge of a bin, such as 0.3 with a step of 0.1, must not fall into the bin before.
    const k = Math.floor(time / step + 1e-9), pairs = [];
    if (markersByBin.has(k)) pairs.push(["markers", markersByBin.get(k)]);
    for (const { name, y, meta } of curves) pairs.push([name, y[k] == null ? "unknown" : formats[meta.format](y[k])]);
    for (const [n, [name, unit, digits]] of facts.signals.entries()) {
      const value = signalValues(n)[k];
      pairs.push([name, value == null ? "unknown" : `${digits === null ? Number(value.toPrecision(4)) : Number(value.toFixed(digits))} ${unit}`.trim()]);
    }
    const seen = lanes ? lanes.z.map((lane, n) => [facts.names[lanes.meta.ids[n]], lane[k]]).filter(([, label]) => label != null) : [];
    if (lanes) pairs.push(["people in view", seen.map(([name, label]) => `${name} (${facts.labels[label] ?? "not readable"})`).join(", ") || "no person"]);
    // The coverage row has one more bin in front.
    const state = coverageTraces.filter((trace) => trace.y[k + 1]).sort((a, b) => b.y[k + 1] - a.y[k + 1])[0];
    pairs.push(["coverage", state ? state.name : "unknown"]);
    return pairs;
  };
  const showValues = () => {
    const pairs = describe(Math.min(currentTime, span[1] - 1e-6));
    element("clock").textContent = timecode(currentTime);
    const from = Math.floor(Math.min(currentTime, span[1] - 1e-6) / step + 1e-9) * step;
    element("step-note").textContent = `Means of ${timecode(from)} to ${timecode(Math.min(from + step, span[1]))}.${tracks.length ? " The label of a face box says what that face shows at the moment." : ""}`;
    valueList.replaceChildren(...pairs.map(([term, text]) => {
      const item = document.createElement("div"), name = document.createElement("span"), value = document.createElement("b");
      name.textContent = term;
      value.textContent = text;
      item.append(name, value);
      if (term === "markers" || term === "people in view") item.className = "full-row";
      return item;
    }));
    slider.value = currentTime;
    slider.setAttribute("aria-valuetext", `${timecode(currentTime)}: ${pairs.map((pair) => pair.join(" ")).join("; ")}`);
  };

  const moveCursor = () => {
    const axis = chart._fullLayout?.xaxis;
    if (!axis) return;
    const x = axis.d2p(charts.toDate(currentTime * 1000)), inside = x >= -1 && x <= axis._length + 1;
    // At time 0 the cursor would cover the titles of the rows.
    cursor.hidden = !inside || currentTime === 0;
    if (inside) cursor.style.transform = `translateX(${axis._offset + x}px)`;
  };
  const goTo = (time, { seek = true } = {}) => {
    currentTime = Math.max(0, Math.min(time, span[1]));
    showValues();
    moveCursor();
    drawBoxes();
    if (seek && video && offset !== null) video.currentTime = currentTime + offset;
  };

  // --- Timeline ---------------------------------------------------------------------------------------
  // plotly reports clicks on points only, and a click must lead to a time within a gap as well. A press that moves is a
  // zoom.
  let pressed = null;
  chart.addEventListener("pointerdown", (event) => {
    pressed = event.target.closest(".nsewdrag") ? { x: event.clientX, y: event.clientY, at: event.timeStamp } : null;
  }, true);
  document.addEventListener("pointerup", (event) => {
    if (!pressed) return;
    const isClick = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < 5 && event.timeStamp - pressed.at < 600;
    pressed = null;
    const axis = chart._fullLayout.xaxis;
    if (isClick) goTo(range()[0] / 1000 + ((event.clientX - chart.getBoundingClientRect().left - axis._offset) / axis._length) * ((range()[1] - range()[0]) / 1000));
  }, true);
  slider.addEventListener("input", () => goTo(Number(slider.value)));
  onRedraw(moveCursor);
  addEventListener("resize", () => setTimeout(moveCursor, 200));
  drawn.then(() => { showValues(); moveCursor(); });

  const showTime = (time, element) => {
    const [start, end] = range(), half = Math.min((end - start) / 2, 20000);
    goTo(time);
    if (element) (document.querySelector(".player:not(.no-video)") || chart.closest("section")).scrollIntoView({ block: "start" });
    return show(time * 1000 - half, time * 1000 + half).then(() => Plotly.Fx.hover(chart, { xval: time * 1000 }, "xy"));
  };
  for (const button of document.querySelectorAll("[data-seconds]")) {
    button.addEventListener("click", () => showTime(Number(button.dataset.seconds), button));
  }
  const peaks = [...document.querySelectorAll("[data-section=peaks] [data-seconds]")].map((button) => Number(button.dataset.seconds));
  for (const button of document.querySelectorAll("[data-peak]")) {
    button.addEventListener("click", () => {
      const next = button.dataset.peak > 0 ? peaks.find((time) => time > currentTime + 0.05) : peaks.findLast((time) => time < currentTime - 0.05);
      if (next !== undefined) showTime(next, null);
    });
  }

  // --- Boxes ------------------------------------------------------------------------------------------
  const canvas = element("boxes"), boxesSwitch = element("show-boxes");
  if (boxesSwitch && !tracks.length) boxesSwitch.closest("label").hidden = true;
  /** Corners of a track's box at a time, interpolated between the steps of a run, and the number of the label shown then; null between runs. */
  const boxAt = (track, time) => {
    const k = Math.floor(time / facts.boxes.step_s + 1e-9);
    const run = track.runs.find(({ first, bytes }) => k >= first && k < first + bytes.length / 4);
    // A box stands until the next frame; at the end, none may stay after a cut.
    if (!run || time < run.from - 1e-3 || time >= run.to + facts.frame_s) return null;
    const row = 4 * (k - run.first), next = row + 4 < run.bytes.length ? row + 4 : row, share = time / facts.boxes.step_s - k;
    const corners = [0, 1, 2, 3].map((n) => run.bytes[row + n] + share * (run.bytes[next + n] - run.bytes[row + n]));
    return { id: track.id, corners, label: run.labels.charCodeAt(k - run.first) - 97 };
  };
  const createSvg = (name, attributes) => {
    const made = document.createElementNS(canvas.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const intersects = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  /** Where a label lies: above its box, below or beside it, within the picture, and over no face or other label if that is possible. */
  const placeLabel = ({ width, height }, box, taken, frame) => {
    const left = Math.max(0, Math.min(box.left, frame.width - width));
    const corners = [[left, box.top - height], [left, box.bottom], [box.right, box.top], [box.left - width, box.top], [left, box.bottom - height]];
    const places = corners.map(([x, y]) => ({ left: x, top: y, right: x + width, bottom: y + height }));
    const inside = places.filter((place) => place.left >= 0 && place.right <= frame.width + 0.5 && place.top >= 0 && place.bottom <= frame.height + 0.5);
    return inside.find((place) => !taken.some((other) => intersects(place, other))) || inside[0] || places[4];
  };
  const drawBoxes = () => {
    if (!canvas) return;
    canvas.replaceChildren();
    const area = canvas.parentElement;
    area.querySelectorAll(".box-label").forEach((tag) => tag.remove());
    if (!boxesSwitch.checked) return;
    const found = tracks.map((track) => boxAt(track, currentTime)).filter(Boolean);
    const tags = found.map(({ id, corners: [x1, y1, x2, y2], label }) => {
      const isKnown = label in facts.labels, stroke = isKnown ? facts.colours[label] : "#ffffff";
      canvas.append(createSvg("rect", { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1), stroke, "vector-effect": "non-scaling-stroke" }));
      const tag = document.createElement("span");
      tag.className = "box-label";
      tag.textContent = facts.names[id] + (isKnown ? ` · ${facts.labels[label]}` : "");
      tag.style.borderColor = stroke;
      area.append(tag);
      return tag;
    });
    // All sizes are read at once: each reading after a change would lay out the page again.
    const frame = { width: area.clientWidth, height: area.clientHeight };
    const sizes = tags.map((tag) => ({ width: tag.offsetWidth, height: tag.offsetHeight }));
    const rects = found.map(({ corners: [x1, y1, x2, y2] }) => ({
      left: (x1 / 255) * frame.width, top: (y1 / 255) * frame.height, right: (x2 / 255) * frame.width, bottom: (y2 / 255) * frame.height,
    }));
    const placed = [];
    for (const [k, tag] of tags.entries()) {
      const place = placeLabel(sizes[k], rects[k], [...rects, ...placed], frame);
      placed.push(place);
      Object.assign(tag.style, { left: `${place.left}px`, top: `${place.top}px` });
    }
  };
  addEventListener("resize", drawBoxes);
  boxesSwitch?.addEventListener("change", drawBoxes);

  // --- Video ------------------------------------------------------------------------------------------
  if (!video) return;
  const showVideoError = () => {
    const note = element("video-error");
    video.closest(".video-frame").hidden = true;
    document.querySelector("[data-video=video]").hidden = true;
    note.hidden = false;
    note.textContent = video.error?.code === 4 || !video.error
      ? "This browser cannot show the video: the file is not where the page expects it, or the browser does not support its format. The data below is complete. Convert the video to MP4 (H.264) or WebM, or use --embed-clips."
      : "This browser cannot play the video to its end, because the file is damaged. The data below is complete.";
  };
  if (video.error) showVideoError();
  video.addEventListener("error", showVideoError);
  const setOffset = (seconds) => {
    if (offset !== null) return;
    offset = seconds;
    video.dataset.offset = seconds;
    if (currentTime > 0) video.currentTime = currentTime + offset;
  };
  video.requestVideoFrameCallback?.((_, { mediaTime }) => setOffset(mediaTime));
  // The first picture may have been shown before this script ran: request it again. A page in the background shows none.
  if (video.readyState > 1) video.currentTime = video.currentTime;
  // Where the browser reports no frame, the time from the file's timestamps has to do.
  setTimeout(() => setOffset(Number(video.dataset.first)), 15000);
  const syncToVideo = () => {
    if (offset === null) return;
    goTo(video.currentTime - offset, { seek: false });
    const [start, end] = range();
    if (!video.paused && (currentTime * 1000 > end || currentTime * 1000 < start)) show(currentTime * 1000, currentTime * 1000 + end - start);
  };
  const followPlayback = () => {
    syncToVideo();
    if (!video.paused && !video.ended) requestAnimationFrame(followPlayback);
  };
  video.addEventListener("play", () => requestAnimationFrame(followPlayback));
  for (const name of ["seeked", "timeupdate", "ended"]) video.addEventListener(name, () => { if (video.readyState > 1) syncToVideo(); });
})();
