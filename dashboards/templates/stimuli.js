"use strict";
// The sessions of each stimulus on one clock: the chart, its cursor, the values there, and the video of the stimulus.
(() => {
  const sections = [...document.querySelectorAll("[data-stimulus]")];
  const areas = sections.map((section) => section.querySelector(".chart"));
  if (!sections.length || !charts.canDraw(areas, "this page")) return;

  // Numbers and times as ferflow/text.py and shared/number_format.py write them.
  const timecode = (seconds) => {
    const tenths = Math.floor(Math.max(seconds, 0) * 10 + 0.5 + 1e-6), two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(tenths / 36000), minutes = Math.floor(tenths / 600) % 60, rest = tenths % 600;
    return `${hours ? hours + ":" : ""}${two(minutes)}:${two(Math.floor(rest / 10))}.${rest % 10}`;
  };
  const percent = (share) => (share > 0 && share < 0.01 ? "<1" : share > 0.99 && share < 1 ? ">99" : Math.round(100 * share)) + "\u202f%";
  const signed = (value) => (value === 0 ? "0" : `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`);

  /** One stimulus: draws its chart when asked, and keeps chart, values and video at one time. */
  const setUp = (section) => {
    const find = (selector) => section.querySelector(selector);
    const chart = find(".chart"), cursor = find(".cursor"), slider = find("input[type=range]"), video = find("video");
    const figure = JSON.parse(find("script.figure").textContent), facts = JSON.parse(find("script.facts-json").textContent);
    const fullRange = figure.layout.xaxis.range.slice();
    const end = charts.toMilliseconds(fullRange[1]) / 1000;
    const curves = figure.data.filter((trace) => trace.meta?.group !== undefined);
    const step = curves[0].dx / 1000;
    const lanes = figure.data.find((trace) => trace.type === "heatmap");
    let currentTime = 0, zoom = null, drawn = null;
    // A container may start before its first picture, and the clock counts from that picture. By how much is known once it
    // has been shown; until then, requests to seek wait.
    let offset = null;

    // --- Values -----------------------------------------------------------------------------------------
    const valueAt = (row, group, k) => curves.find((trace) => trace.meta.row === row && trace.meta.group === group)?.y[k];
    const groups = [...new Set(curves.map((trace) => trace.meta.group))];
    const describeGroup = (group, k) => {
      const share = valueAt("reacting", group, k), n = valueAt("n", group, k), valence = valueAt("valence", group, k);
      if (!n) return "no face can be read";
      const reacting = Math.round(share * n * 100) / 100;
      return `${Number.isInteger(reacting) ? reacting : percent(share)} of ${n} react, net positivity ${signed(valence)}`;
    };
    const describeSignal = (row, unit, digits, k) => groups.map((group) => {
      const curve = curves.find((trace) => trace.meta.row === row && trace.meta.group === group), value = curve?.y[k];
      const whose = groups.length > 1 ? `${group}: ` : "";
      return whose + (value == null ? "unknown" : `${digits === null ? Number(value.toPrecision(4)) : Number(value.toFixed(digits))} ${unit}`.trim() + ` (n ${curve.customdata[k]})`);
    }).join(", ");
    const describe = (time) => {
      const k = Math.min(Math.floor(time / step + 1e-9), curves[0].y.length - 1);
      const scenes = facts.scenes.filter(([from, to]) => time >= from - 1e-9 && time < (to ?? from + step)).map((scene) => scene[2]);
      const pairs = groups.map((group) => [group, describeGroup(group, k)]);
      for (const [row, title, unit, digits] of facts.signals) pairs.push([title, describeSignal(row, unit, digits, k)]);
      if (scenes.length) pairs.unshift(["scene", scenes.join(", ")]);
      const shown = lanes.meta.names.map((name, lane) => [name, lanes.meta.labels[lanes.z[lane][k]]])
        .filter(([, label]) => label && label !== "neutral").map(([name, label]) => `${name} (${label})`);
      pairs.push(["shows an expression", shown.join(", ") || "no one"]);
      return pairs;
    };
    const showValues = () => {
      const pairs = describe(currentTime);
      find(".clock").textContent = timecode(currentTime);
      find(".current-values-list").replaceChildren(...pairs.map(([term, text]) => {
        const item = document.createElement("div"), name = document.createElement("span"), value = document.createElement("b");
        name.textContent = term;
        value.textContent = text;
        item.append(name, value);
        if (!groups.includes(term)) item.className = "full-row";
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
      currentTime = Math.max(0, Math.min(time, end));
      showValues();
      moveCursor();
      if (seek && video && offset !== null) video.currentTime = currentTime + offset;
    };
    slider.addEventListener("input", () => goTo(Number(slider.value)));
    addEventListener("resize", () => setTimeout(moveCursor, 200));

    // --- Chart ------------------------------------------------------------------------------------------
    /** Titles without their explanations, and labels of scenes only where they fit. */
    const fitToPhone = () => {
      figure.layout.xaxis.nticks = 4;
      const width = chart.clientWidth - figure.layout.margin.l - figure.layout.margin.r;
      for (const note of figure.layout.annotations) {
        if (note.xref === "paper") note.text = note.text.replace(/ *<span.*<\/span>/, "");
        else {
          const start = charts.toMilliseconds(note.x) / 1000, next = facts.scenes.map((scene) => scene[0]).find((time) => time > start) ?? end;
          if (note.text.length * 6.4 > ((next - start) / end) * width - 4) note.text = "";
        }
      }
    };
    const draw = () => {
      if (drawn) return drawn;
      // A finger must be able to scroll past the chart.
      figure.layout.dragmode = charts.isNarrow(chart) ? false : "zoom";
      if (charts.isNarrow(chart)) fitToPhone();
      const redrawn = () => { charts.limitHover(chart, step * 1000); moveCursor(); };
      drawn = charts.draw(chart, figure).then(() => {
        redrawn();
        chart.on("plotly_afterplot", redrawn);
      });
      zoom = charts.zoom(chart, fullRange);
      return drawn;
    };
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
      if (!isClick) return;
      const axis = chart._fullLayout.xaxis, [start, stop] = zoom.range();
      goTo((start + ((event.clientX - chart.getBoundingClientRect().left - axis._offset) / axis._length) * (stop - start)) / 1000);
    }, true);
    for (const button of section.querySelectorAll("[data-seconds]")) {
      button.addEventListener("click", () => draw().then(() => goTo(Number(button.dataset.seconds))));
    }
    showValues();

    // --- Video ------------------------------------------------------------------------------------------
    const showVideoError = () => {
      const note = find(".video-error");
      video.closest(".video-frame").hidden = true;
      find(".video-controls").hidden = true;
      note.hidden = false;
      note.textContent = "This browser cannot show the video of the stimulus: the file is not where the page expects it, or the browser does not support its format. The curves are complete. Convert the video to MP4 (H.264) or WebM.";
    };
    const setOffset = (seconds) => {
      if (offset !== null) return;
      offset = seconds;
      video.dataset.offset = seconds;
      if (currentTime > 0) video.currentTime = currentTime + offset;
    };
    const syncToVideo = () => {
      if (offset === null) return;
      goTo(video.currentTime - offset, { seek: false });
      const [start, stop] = zoom ? zoom.range() : [0, Infinity];
      if (!video.paused && (currentTime * 1000 > stop || currentTime * 1000 < start)) zoom.show(currentTime * 1000, currentTime * 1000 + stop - start);
    };
    const followPlayback = () => {
      syncToVideo();
      if (!video.paused && !video.ended) requestAnimationFrame(followPlayback);
    };
    if (video) {
      if (video.error) showVideoError();
      video.addEventListener("error", showVideoError);
      video.requestVideoFrameCallback?.((_, { mediaTime }) => setOffset(mediaTime));
      // The first picture may have been shown before this script ran: request it again. A page in the background shows none.
      if (video.readyState > 1) video.currentTime = video.currentTime;
      // Where the browser reports no frame, the start of the file has to do.
      setTimeout(() => setOffset(0), 15000);
      video.addEventListener("play", () => requestAnimationFrame(followPlayback));
      for (const name of ["seeked", "timeupdate", "ended"]) video.addEventListener(name, () => { if (video.readyState > 1) syncToVideo(); });
    }
    return { chart, draw, screen: figure.layout.meta.screen, paper: figure.layout.meta.paper };
  };

  const all = sections.map(setUp);
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) all[sections.indexOf(target)].draw();
  }, { rootMargin: "600px" });
  sections.forEach((section) => observer.observe(section));
  let undo = [];
  const drawnCharts = () => areas.filter((chart) => chart.layout);
  charts.onThemeChange(() => drawnCharts().forEach(charts.repaint));
  addEventListener("beforeprint", () => {
    all.forEach(({ draw }) => draw());
    for (const { chart, paper } of all) {
      if (!chart.layout) continue;
      const { layout, restore } = charts.arrangeSheets(chart, paper, ["groups", "comparisons", "stimulus-table", "participants", "videos", "glossary"]);
      undo.push(restore);
      charts.fitToPaper(chart, layout.height, charts.placeRows(chart, layout));
    }
  });
  addEventListener("afterprint", () => {
    for (const step of undo.splice(0).reverse()) step();
    for (const { chart, screen } of all) if (chart.layout) charts.fitToScreen(chart, charts.placeRows(chart, screen));
  });
})();
