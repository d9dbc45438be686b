import { drawBoxes, faceCard } from "/static/faces.js";

const stage = document.getElementById("stage"), picture = document.getElementById("picture"), overlay = document.getElementById("overlay");
const numbers = document.getElementById("numbers"), message = document.getElementById("message"), list = document.getElementById("faces"), noFace = document.getElementById("no-face");
const socket = new WebSocket(`ws://${location.host}/api/live`);
let found = null, shown = [], url = "";

function end(why) {
  message.textContent = why;
  message.hidden = false;
  document.title = `Ended · ${document.title.replace(/^Ended · /, "")}`;
}

async function show(blob) {
  const next = URL.createObjectURL(blob);
  picture.src = next;
  await picture.decode();
  URL.revokeObjectURL(url);
  url = next;
  stage.hidden = false;
  const now = performance.now();
  shown = [...shown.filter((time) => now - time < 2000), now];
  const rate = shown.length > 1 ? (shown.length - 1) / ((now - shown[0]) / 1000) : 0;
  numbers.textContent = `${found.time_s.toFixed(1)} s · analysed ${Math.round(found.latency_ms)} ms after the picture came · ${rate.toFixed(0)} pictures per second here · ${found.dropped} dropped`;
  drawBoxes(overlay, found.faces, found.width, found.height);
  noFace.hidden = found.faces.length > 0;
  list.replaceChildren(...found.faces.map((face, i) => faceCard(face, found.faces.length > 1 ? i + 1 : 0)));
}

// The next picture is asked for when this one is drawn, so that the newest one comes.
socket.onmessage = async ({ data }) => {
  if (typeof data === "string") {
    found = JSON.parse(data);
    if (found.over) end(found.over);
    return;
  }
  await show(data).catch(() => {});
  requestAnimationFrame(() => socket.readyState === WebSocket.OPEN && socket.send("next"));
};
socket.onclose = () => message.hidden && end("The connection has ended. Does ferflow live still run?");
