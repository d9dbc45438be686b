// One clip plays at a time. J and K go to the next and the previous one, and Enter or Space starts and stops it.
const clips = [...document.querySelectorAll("video")];
for (const clip of clips)
  clip.addEventListener("play", () => clips.forEach(other => other !== clip && other.pause()));
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !clips.length) return;
  const step = { j: 1, k: -1 }[event.key.toLowerCase()];
  if (step) {
    const at = clips.indexOf(document.activeElement);
    const next = clips[at < 0 ? 0 : (at + step + clips.length) % clips.length];
    next.focus();
    next.scrollIntoView({ block: "center" });
  } else if (event.key === "Enter" && clips.includes(document.activeElement)) {
    const clip = document.activeElement;
    clip.paused ? clip.play() : clip.pause();
    event.preventDefault();
  }
});
