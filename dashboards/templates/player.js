"use strict";
// One current time for all: the cursor in the timeline, the values, the slider, and the video if there is one.
(() => {
  if (!globalThis.ferflow) return;
  const { chart, data, lanes, facts, happening, span, step, show, range, onView, drawing } = globalThis.ferflow;
  const element = (id) => document.getElementById(id);
  const video = element("video"), cursor = element("cursor"), slider = element("moment"), words = element("now-words");
  let moment = 0;
  // A container may start before its first picture, and the page counts from that picture. By how much is known once
  // it has been shown; until then, requests to seek wait.
  let offset = null;

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
  const states = data.filter((trace) => trace.stackgroup === "coverage");

  /** The values at a time: pairs of a term and a text. */
  const describe = (time) => {
    const k = Math.floor(time / step + 1e-9), pairs = [];
    if (happening.has(k)) pairs.push(["markers", happening.get(k)]);
    for (const { name, y, meta } of curves) pairs.push([name, y[k] == null ? "unknown" : formats[meta.format](y[k])]);
    const seen = lanes ? lanes.z.map((lane, n) => [facts.names[lanes.meta.ids[n]], facts.labels[lane[k]]]).filter(([, label]) => label) : [];
    if (lanes) pairs.push(["people in view", seen.map(([name, label]) => `${name} (${label})`).join(", ") || "no person"]);
    // The coverage row has one more bin in front.
    const state = states.filter((trace) => trace.y[k + 1]).sort((a, b) => b.y[k + 1] - a.y[k + 1])[0];
    pairs.push(["coverage", state ? state.name : "unknown"]);
    return pairs;
  };
  const showValues = () => {
    const pairs = describe(Math.min(moment, span[1] - 1e-6));
    element("clock").textContent = timecode(moment);
    words.replaceChildren(...pairs.map(([term, text]) => {
      const item = document.createElement("div"), name = document.createElement("span"), value = document.createElement("b");
      name.textContent = term;
      value.textContent = text;
      item.append(name, value);
      if (term === "markers" || term === "people in view") item.className = "all";
      return item;
    }));
    slider.value = moment;
    slider.setAttribute("aria-valuetext", `${timecode(moment)}: ${pairs.map((pair) => pair.join(" ")).join("; ")}`);
  };

  const moveCursor = () => {
    const axis = chart._fullLayout?.xaxis;
    if (!axis) return;
    const x = axis.d2p(charts.date(moment * 1000)), inside = x >= -1 && x <= axis._length + 1;
    // At the very start it says nothing, and would cover the titles of the rows.
    cursor.hidden = !inside || moment === 0;
    if (inside) cursor.style.transform = `translateX(${axis._offset + x}px)`;
  };
  const go = (time, { seek = true } = {}) => {
    moment = Math.max(0, Math.min(time, span[1]));
    showValues();
    moveCursor();
    drawBoxes();
    if (seek && video && offset !== null) video.currentTime = moment + offset;
  };

  // --- Timeline ---------------------------------------------------------------------------------------
  // plotly reports clicks on points only, and one can go to a gap as well.
  let pressed = null;
  chart.addEventListener("pointerdown", (event) => {
    pressed = event.target.closest(".nsewdrag") ? { x: event.clientX, y: event.clientY, at: event.timeStamp } : null;
  }, true);
  document.addEventListener("pointerup", (event) => {
    if (!pressed) return;
    const still = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < 5 && event.timeStamp - pressed.at < 600;
    pressed = null;
    const axis = chart._fullLayout.xaxis;
    if (still) go(range()[0] / 1000 + ((event.clientX - chart.getBoundingClientRect().left - axis._offset) / axis._length) * ((range()[1] - range()[0]) / 1000));
  }, true);
  slider.addEventListener("input", () => go(Number(slider.value)));
  onView(moveCursor);
  addEventListener("resize", () => setTimeout(moveCursor, 200));
  drawing.then(() => { showValues(); moveCursor(); });

  const visit = (time, element) => {
    const [start, end] = range(), half = Math.min((end - start) / 2, 20000);
    go(time);
    if (element) (document.querySelector(".stage:not(.without)") || chart.closest("section")).scrollIntoView({ block: "start" });
    return show(time * 1000 - half, time * 1000 + half).then(() => Plotly.Fx.hover(chart, { xval: time * 1000 }, "xy"));
  };
  for (const button of document.querySelectorAll("[data-seconds]")) {
    button.addEventListener("click", () => visit(Number(button.dataset.seconds), button));
  }
  const peaks = [...document.querySelectorAll("[data-section=peaks] [data-seconds]")].map((button) => Number(button.dataset.seconds));
  for (const button of document.querySelectorAll("[data-peak]")) {
    button.addEventListener("click", () => {
      const next = button.dataset.peak > 0 ? peaks.find((time) => time > moment + 0.05) : peaks.findLast((time) => time < moment - 0.05);
      if (next !== undefined) visit(next, null);
    });
  }

  // --- Boxes ------------------------------------------------------------------------------------------
  const canvas = element("boxes"), choice = element("show-boxes");
  const tracks = (facts.boxes?.tracks || []).map(({ id, runs }) => ({
    id, runs: runs.map(([first, text]) => ({ first, bytes: Uint8Array.from(atob(text), (char) => char.charCodeAt(0)) })),
  }));
  if (choice && !tracks.length) choice.closest("label").hidden = true;
  const boxAt = (track, time) => {
    const k = Math.floor(time / facts.boxes.step_s + 1e-9);
    const run = track.runs.find(({ first, bytes }) => k >= first && k < first + bytes.length / 4);
    if (!run) return null;
    const row = 4 * (k - run.first), next = row + 4 < run.bytes.length ? row + 4 : row, share = time / facts.boxes.step_s - k;
    return [0, 1, 2, 3].map((n) => run.bytes[row + n] + share * (run.bytes[next + n] - run.bytes[row + n]));
  };
  const svg = (name, attributes) => {
    const made = document.createElementNS(canvas.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const drawBoxes = () => {
    if (!canvas) return;
    canvas.replaceChildren();
    const tags = canvas.parentElement.querySelectorAll(".tag");
    tags.forEach((tag) => tag.remove());
    if (!choice.checked) return;
    for (const track of tracks) {
      const box = boxAt(track, moment);
      if (!box) continue;
      const lane = lanes ? lanes.meta.ids.indexOf(track.id) : -1, label = lane < 0 ? null : lanes.z[lane][Math.floor(moment / step + 1e-9)];
      const stroke = label == null ? "#ffffff" : facts.colours[label], [x1, y1, x2, y2] = box;
      canvas.append(svg("rect", { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1), stroke, "vector-effect": "non-scaling-stroke" }));
      const tag = document.createElement("span");
      tag.className = "tag";
      tag.textContent = `${facts.names[track.id]}${label == null ? "" : " · " + facts.labels[label]}`;
      Object.assign(tag.style, { left: `${(100 * x1) / 255}%`, bottom: `${100 - (100 * y1) / 255}%`, borderColor: stroke });
      canvas.parentElement.append(tag);
    }
  };
  choice?.addEventListener("change", drawBoxes);

  // --- Video ------------------------------------------------------------------------------------------
  if (!video) return;
  const showTrouble = () => {
    const note = element("video-trouble");
    video.closest(".frame").hidden = true;
    if (choice) choice.closest("label").hidden = true;
    note.hidden = false;
    note.textContent = video.error?.code === 4 || !video.error
      ? "This browser cannot show the video: the file is not where the page expects it, or the browser does not support its format. The data below is complete. Convert the video to MP4 (H.264) or WebM, or use --embed-clips."
      : "This browser cannot play the video to its end, because the file is damaged. The data below is complete.";
  };
  if (video.error) showTrouble();
  video.addEventListener("error", showTrouble);
  const settle = (seconds) => {
    if (offset !== null) return;
    offset = seconds;
    video.dataset.offset = seconds;
    if (moment > 0) video.currentTime = moment + offset;
  };
  video.requestVideoFrameCallback?.((_, { mediaTime }) => settle(mediaTime));
  // The first picture may have been shown before this script ran: request it again. A page in the background shows none.
  if (video.readyState > 1) video.currentTime = video.currentTime;
  setTimeout(() => settle(Number(video.dataset.first)), 15000);
  const follow = () => {
    if (offset === null) return;
    go(video.currentTime - offset, { seek: false });
    const [start, end] = range();
    if (!video.paused && (moment * 1000 > end || moment * 1000 < start)) show(moment * 1000, moment * 1000 + end - start);
  };
  const play = () => {
    follow();
    if (!video.paused && !video.ended) requestAnimationFrame(play);
  };
  video.addEventListener("play", () => requestAnimationFrame(play));
  for (const name of ["seeked", "timeupdate", "ended"]) video.addEventListener(name, () => { if (video.readyState > 1) follow(); });
})();
