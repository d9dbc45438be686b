import { drawBoxes, element, faceCard, percent } from "/static/faces.js";

const MOST_PICTURE_BYTES = 64 * 2 ** 20;
const drop = document.getElementById("drop"), input = document.getElementById("files");
const message = document.getElementById("message"), results = document.getElementById("results");
const VIDEO_NAME = /\.(mp4|m4v|mov|mkv|webm|avi|ts|mts|m2ts|mpg|mpeg|wmv|asf|flv|ogv|3gp|3g2|mxf|gif|mjpeg|y4m|vob|dv|apng)$/i;

function say(text) {
  message.textContent = text;
  message.hidden = !text;
}

async function problemOf(answer) {
  try { return (await answer.json()).error || answer.statusText; } catch { return answer.statusText; }
}

function send(path, file, fields = {}) {
  const form = new FormData();
  form.append("image", file);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return fetch(path, { method: "POST", body: form });
}

async function takeFiles(files) {
  say("");
  for (const file of files) {
    if (file.type.startsWith("video/") || file.type === "image/gif" || VIDEO_NAME.test(file.name)) {
      await sendVideo(file);
      return; // the page of the jobs follows
    }
    await showPicture(file);
  }
}

async function showPicture(file) {
  if (file.size > MOST_PICTURE_BYTES) return say(`${file.name}: too large: a picture may have 64 MiB.`);
  const section = element("section", "result"), name = element("h2");
  name.append(element("bdi", "", file.name || "pasted picture"));
  section.append(name, element("p", "hint", "Reading …"));
  results.prepend(section);
  try {
    const answer = await send("/api/predict", file);
    if (!answer.ok) throw new Error(await problemOf(answer));
    const found = await answer.json();
    fill(section, name, file, found);
    await place(section, await viewable(file), file, found);
  } catch (error) {
    section.remove();
    say(`${file.name}: ${error instanceof TypeError ? "the application does not answer. Is it still running?" : error.message.replace(/^the file: /, "")}`);
  }
}

// Browsers show JPEG, PNG, WebP; others come back from the server as JPEG.
async function viewable(file) {
  const url = URL.createObjectURL(file), probe = new Image();
  probe.src = url;
  try { await probe.decode(); return url; } catch { URL.revokeObjectURL(url); }
  const answer = await send("/api/picture", file);
  if (!answer.ok) throw new Error(await problemOf(answer));
  return URL.createObjectURL(await answer.blob());
}

function fill(section, name, file, found) {
  const n = found.faces.length, tools = element("div", "chart-tools"), close = element("button", "", "Remove");
  close.type = "button";
  close.setAttribute("aria-label", `Remove ${file.name}`);
  close.onclick = () => section.remove();
  tools.append(name, close);
  const words = n ? `${n} face${n > 1 ? "s" : ""}` : "No face found. A face needs about 1/15 of the picture's shorter side, and must not be turned away far";
  section.replaceChildren(tools, element("p", "hint", `${words} · ${found.width} × ${found.height} pixels · model ${found.model}`));
}

async function place(section, url, file, { faces, width, height }) {
  const body = element("div", faces.length > 2 ? "result-body many" : "result-body"), stage = element("div", "stage"), list = element("div", faces.length > 2 ? "face-grid" : "face-list");
  const image = new Image(), canvas = element("canvas");
  image.alt = `${file.name}, ${faces.length} faces`;
  image.src = url;
  await image.decode();
  stage.append(image, canvas);
  body.append(stage, list);
  section.append(body);
  const draw = () => drawBoxes(canvas, faces, width, height);
  new ResizeObserver(draw).observe(stage);
  draw();
  faces.forEach((face, i) => list.append(pictureCard(face, faces.length > 1 ? i + 1 : 0, image, file)));
}

function pictureCard(face, number, image, file) {
  const card = faceCard(face, number), crop = element("canvas"), [x1, y1, x2, y2] = face.xyxy;
  crop.width = crop.height = 112;
  const side = Math.max(x2 - x1, y2 - y1) * 1.15, cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
  crop.getContext("2d").drawImage(image, cx - side / 2, cy - side / 2, side, side, 0, 0, 112, 112);
  crop.setAttribute("aria-hidden", "true");
  card.querySelector(".face-head").prepend(crop);
  const details = element("details"), maps = element("div", "maps");
  details.append(element("summary", "", "Where the evidence is"), maps);
  details.addEventListener("toggle", () => details.open && !maps.childElementCount && showMaps(maps, face, file));
  card.append(details);
  return card;
}

async function showMaps(maps, face, file) {
  maps.append(element("p", "hint", "Computing …"));
  const answer = await send("/api/activation", file, { xyxy: face.xyxy.join(",") });
  if (!answer.ok) return maps.replaceChildren(element("p", "hint", await problemOf(answer)));
  const found = (await answer.json()).maps;
  maps.replaceChildren(...found.map(({ label, probability, image }) => {
    const figure = element("figure"), drawn = new Image();
    drawn.src = image;
    drawn.alt = `Evidence for ${label}`;
    figure.append(drawn, element("figcaption", "", `${label} ${percent(probability)}`));
    return figure;
  }));
  maps.after(element("p", "hint", found.length ? "Orange speaks for the label, blue against it. Probabilities of the float32 network." : "This network has no such maps."));
}

function sendVideo(file) {
  const upload = document.getElementById("upload"), bar = document.getElementById("upload-bar");
  document.getElementById("upload-name").textContent = file.name;
  upload.hidden = false;
  const form = new FormData(), request = new XMLHttpRequest();
  form.append("video", file);
  request.open("POST", "/api/jobs");
  request.upload.onprogress = (event) => { bar.value = event.total ? event.loaded / event.total : 0; };
  document.getElementById("upload-cancel").onclick = () => request.abort();
  return new Promise((done) => {
    request.onloadend = () => {
      upload.hidden = true;
      let found = {};
      try { found = JSON.parse(request.responseText); } catch { /* ended early */ }
      if (request.status === 202) location.href = "/jobs";
      else if (request.status) say(`${file.name}: ${found.error || request.statusText}`);
      else say(`${file.name}: the upload ended early.`);
      done();
    };
    request.send(form);
  });
}

document.getElementById("choose").onclick = () => input.click();
input.onchange = () => takeFiles([...input.files]).then(() => { input.value = ""; });
for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); takeFiles([...event.dataTransfer.files]); });
addEventListener("paste", (event) => { if (event.clipboardData.files.length) takeFiles([...event.clipboardData.files]); });
