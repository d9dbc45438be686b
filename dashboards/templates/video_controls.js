"use strict";
// Controls below each video: the browser's own lie over the picture and hide faces at its lower edge.
for (const bar of document.querySelectorAll("[data-video]")) {
  const video = document.getElementById(bar.dataset.video), area = bar.parentElement;
  const buttonFor = (action) => bar.querySelector(`[data-action=${action}]`);
  const mute = buttonFor("mute");  // not of a copy without sound
  const toggle = () => (video.paused ? video.play().catch(() => {}) : video.pause());
  const showState = () => {
    buttonFor("play").textContent = video.paused ? "Play" : "Pause";
    if (mute) mute.textContent = video.muted ? "Unmute" : "Mute";
  };
  for (const event of ["play", "pause", "ended", "volumechange"]) video.addEventListener(event, showState);
  video.addEventListener("click", toggle);
  buttonFor("play").addEventListener("click", toggle);
  if (mute) mute.addEventListener("click", () => { video.muted = !video.muted; });
  const position = buttonFor("seek");
  if (position) {
    Object.assign(position, { min: 0, max: 1, value: 0 });
    const showPosition = () => { if (video.duration) position.value = video.currentTime / video.duration; };
    for (const event of ["timeupdate", "seeked", "ended"]) video.addEventListener(event, showPosition);
    position.addEventListener("input", () => { if (video.duration) video.currentTime = position.value * video.duration; });
  }
  // With all that lies over and below the picture, except on phones that show nothing but a video in full.
  const canFill = Boolean(area.requestFullscreen), fill = buttonFor("fullscreen");
  fill.hidden = !canFill && !video.webkitEnterFullscreen;
  fill.addEventListener("click", () => {
    if (!canFill) video.webkitEnterFullscreen();
    else if (document.fullscreenElement) document.exitFullscreen();
    else area.requestFullscreen().catch(() => {});
  });
  document.addEventListener("fullscreenchange", () => { fill.textContent = document.fullscreenElement === area ? "Close full screen" : "Full screen"; });
  // The style sheet makes the picture as large as a full screen allows.
  video.addEventListener("loadedmetadata", () => area.style.setProperty("--ratio", video.videoWidth / video.videoHeight));
  if (video.videoHeight) area.style.setProperty("--ratio", video.videoWidth / video.videoHeight);
  video.controls = false;
  bar.hidden = false;
  showState();
}
