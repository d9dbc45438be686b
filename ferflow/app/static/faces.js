// Faces as they are answered by the API, drawn over their picture and listed with all probabilities.

export const look = JSON.parse(document.getElementById("look").textContent);

export function percent(share) {
  if (share > 0 && share < 0.01) return "<1\u202f%";
  if (share > 0.99 && share < 1) return ">99\u202f%";
  return `${Math.round(share * 100)}\u202f%`;
}

export function ranked(face) {
  return Object.entries(face.probs).sort((a, b) => b[1] - a[1]);
}

export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function describe(face) {
  const why = { turned: "turned away too far", small: "too small", blurred: "too blurred", occluded: "mouth covered" };
  const angles = face.yaw === null ? [] : [`turned ${Math.round(face.yaw)}°`, `tilted ${Math.round(face.roll)}°`];
  const unreadable = face.unreadable ? [`not readable: ${why[face.unreadable]}`] : [];
  return [...unreadable, ...angles, `detector ${percent(face.score)}`].join(" · ");
}

// Boxes, each with a bar of all probabilities below and its label above; scaled to the picture as it is shown.
export function drawBoxes(canvas, faces, width, height, mirrored = false) {
  const shown = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(shown.width * ratio);
  canvas.height = Math.round(shown.height * ratio);
  const context = canvas.getContext("2d");
  const sx = canvas.width / width, sy = canvas.height / height;
  faces.forEach((face, i) => {
    let [x1, y1, x2, y2] = face.xyxy;
    if (mirrored) [x1, x2] = [width - x2, width - x1];
    const x = x1 * sx, y = y1 * sy, w = (x2 - x1) * sx, h = (y2 - y1) * sy, bar = 7 * ratio;
    context.lineWidth = 2.5 * ratio;
    context.strokeStyle = look.colours[face.label];
    context.strokeRect(x, y, w, h);
    let left = x;
    for (const label of [...look.stacked].reverse()) {
      const wide = (face.probs[label] || 0) * w;
      context.fillStyle = look.colours[label];
      context.fillRect(left, y + h + 3 * ratio, wide, bar);
      left += wide;
    }
  });
  drawTitles(context, canvas, faces.map(({ xyxy: [x1, y1, x2] }) => [(mirrored ? width - x2 : x1) * sx, y1 * sy]), faces, ratio);
}

// Where titles would cover one another, the numbers are enough.
function drawTitles(context, canvas, corners, faces, ratio) {
  context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  const place = (text, [x, y]) => {
    const wide = context.measureText(text).width + 10 * ratio;
    return { text, wide, x: Math.max(0, Math.min(x, canvas.width - wide)), y: Math.max(20 * ratio, y - 4 * ratio) };
  };
  const covers = (one, other) => one.x < other.x + other.wide && other.x < one.x + one.wide && Math.abs(one.y - other.y) < 20 * ratio;
  const words = faces.map((face, i) => `${faces.length > 1 ? `${i + 1} · ` : ""}${face.label} ${percent(face.probs[face.label])}`);
  const full = words.map((text, i) => place(text, corners[i]));
  const isCrowded = full.some((one, i) => full.slice(i + 1).some((other) => covers(one, other)));
  for (const { text, wide, x, y } of isCrowded ? corners.map((corner, i) => place(`${i + 1}`, corner)) : full) {
    context.fillStyle = "rgba(10, 12, 18, .78)";
    context.fillRect(x, y - 17 * ratio, wide, 20 * ratio);
    context.fillStyle = "#fff";
    context.fillText(text, x + 5 * ratio, y - 3 * ratio);
  }
}

export function faceCard(face, number) {
  const card = element("article", "face");
  const head = element("div", "face-head"), words = element("div");
  const best = ranked(face)[0];
  words.append(element("h3", "", `${number ? `${number} · ` : ""}${best[0]} ${percent(best[1])}`), element("p", "hint", describe(face)));
  head.append(words);
  const list = element("ul", "probs");
  for (const [label, share] of ranked(face)) {
    const row = element("li"), track = element("span", "track"), bar = element("i");
    bar.style.width = `${share * 100}%`;
    bar.style.background = look.colours[label];
    track.append(bar);
    row.append(element("span", "", label), track, element("span", "", percent(share)));
    list.append(row);
  }
  card.append(head, list);
  return card;
}
