import { drawBoxes, faceCard } from "/static/faces.js";

const MOST_WIDTH = 640;
const toggle = document.getElementById("toggle"), camera = document.getElementById("camera"), overlay = document.getElementById("overlay");
const stage = document.getElementById("stage"), numbers = document.getElementById("numbers"), message = document.getElementById("message");
const list = document.getElementById("faces"), noFace = document.getElementById("no-face"), mirror = document.getElementById("mirror");
const sender = document.createElement("canvas");
let stream = null, socket = null, sentAt = 0, answered = [];

function say(text) {
  message.textContent = text;
  message.hidden = !text;
}

async function start() {
  say("");
  toggle.disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
  } catch (error) {
    const why = { NotAllowedError: "the browser was not allowed to use it", NotFoundError: "none is connected", NotReadableError: "another program uses it" };
    return say(`No webcam: ${why[error.name] || error.message}.`);
  } finally {
    toggle.disabled = false;
  }
  camera.srcObject = stream;
  await camera.play();
  stage.hidden = false;
  socket = new WebSocket(`ws://${location.host}/api/webcam`);
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = () => stream && stop(message.textContent || "The application has ended the connection. Start again.");
  toggle.textContent = "Stop the webcam";
  numbers.textContent = "Loading the networks …";
}

function stop(why = "") {
  if (stream) stream.getTracks().forEach((track) => track.stop());
  stream = null;
  if (socket) socket.close();
  socket = null;
  stage.hidden = noFace.hidden = true;
  list.replaceChildren();
  numbers.textContent = "";
  toggle.textContent = "Start the webcam";
  say(why);
}

// One frame is on its way at a time: the next one that is sent is the newest.
function send() {
  if (!stream || !socket || socket.readyState !== WebSocket.OPEN) return;
  const factor = Math.min(1, MOST_WIDTH / camera.videoWidth);
  sender.width = Math.round(camera.videoWidth * factor);
  sender.height = Math.round(camera.videoHeight * factor);
  sender.getContext("2d").drawImage(camera, 0, 0, sender.width, sender.height);
  sentAt = performance.now();
  sender.toBlob(async (blob) => {
    if (blob && socket && socket.readyState === WebSocket.OPEN) socket.send(await blob.arrayBuffer());
  }, "image/jpeg", 0.85);
}

function take(found) {
  if (found.error) say(found.error);
  if (found.faces && stream) show(found);
  if (stream) requestAnimationFrame(send);
}

function show(found) {
  const now = performance.now();
  answered = [...answered.filter((time) => now - time < 2000), now];
  drawBoxes(overlay, found.faces, found.width, found.height, mirror.checked);
  const rate = answered.length > 1 ? (answered.length - 1) / ((now - answered[0]) / 1000) : 0;
  numbers.textContent = `${Math.round(now - sentAt)} ms from picture to answer, ${Math.round(found.latency_ms)} ms of it analysis · ${rate.toFixed(0)} frames per second`;
  noFace.hidden = found.faces.length > 0;
  list.replaceChildren(...found.faces.map((face, i) => faceCard(face, found.faces.length > 1 ? i + 1 : 0)));
}

function turn() {
  stage.classList.toggle("mirrored", mirror.checked);
}

toggle.onclick = () => (stream ? stop() : start());
mirror.onchange = turn;
turn();
addEventListener("pagehide", () => stop());
