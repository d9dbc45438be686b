// The time that everything on the edit page refers to: of the video, or chosen by hand where the browser cannot play it.

export function timecode(seconds) {
  const whole = Math.round(Math.max(seconds, 0) * 100), two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 360000), minutes = Math.floor(whole / 6000) % 60;
  return `${hours ? `${hours}:` : ""}${two(minutes)}:${two(Math.floor(whole / 100) % 60)}.${two(whole % 100)}`;
}

// As it is written into lists: seconds, to the hundredth.
export function seconds(time) {
  return String(Math.round(Math.max(time, 0) * 100) / 100);
}

// Seconds of 83.5, 1:23.5 or 0:01:23,5; NaN for anything else.
export function parseTime(text) {
  const parts = text.trim().replace(",", ".").split(":");
  if (!parts.every((part) => /^\d+(\.\d+)?$/.test(part)) || parts.length > 3) return NaN;
  return parts.reduce((sum, part) => sum * 60 + Number(part), 0);
}

const id = (name) => document.getElementById(name);
const video = id("video"), still = id("still"), stage = id("stage"), slider = id("time"), clock = id("clock"), play = id("play"), problem = id("video-problem");

export class Player {
  constructor(onTime) {
    this.onTime = onTime;
    this.time = 0;
    this.offset = 0; // a container may start before its first picture
    this.isPlayable = false;
    slider.addEventListener("input", () => this.goTo(Number(slider.value)));
    play.addEventListener("click", () => this.toggle());
    video.addEventListener("click", () => this.toggle());
    for (const event of ["play", "pause", "ended"]) video.addEventListener(event, () => { play.textContent = video.paused ? "Play" : "Pause"; });
    for (const event of ["timeupdate", "seeked"]) video.addEventListener(event, () => this.follow());
    video.addEventListener("error", () => this.useStills("This browser does not play this video. Pictures are fetched one by one; choose times with the slider or the keys."));
  }

  open(state) {
    this.videoId = encodeURIComponent(state.video_id);
    this.length = state.duration_s || Math.max(0, ...state.tracks.map((track) => track.last_s));
    slider.max = this.length;
    this.offset = state.first_s;
    if (!state.has_source) this.useNothing(`${state.player_problem} Times can be chosen with the slider, or typed.`);
    else if (state.player_problem) this.useStills(`${state.player_problem} Pictures are fetched one by one; choose times with the slider or the keys.`);
    else this.usePlayer();
    this.show();
  }

  usePlayer() {
    this.isPlayable = true;
    stage.hidden = video.hidden = false;
    let isFirst = true;
    video.addEventListener("seeking", () => { isFirst = false; }, { once: true });
    video.requestVideoFrameCallback?.((_, { mediaTime }) => { if (isFirst && video.paused) this.offset = mediaTime; });
    video.src = `/folder/source/${this.videoId}`;
  }

  useStills(why) {
    this.useNothing(why);
    stage.hidden = still.hidden = false;
    this.hasStills = true;
    this.fetchStill();
  }

  useNothing(why) {
    this.isPlayable = false;
    video.hidden = stage.hidden = true;
    play.disabled = true;
    problem.textContent = why;
    problem.hidden = false;
  }

  fetchStill() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => { still.src = `/api/videos/${this.videoId}/frame?time_s=${seconds(this.time)}`; }, 120);
  }

  now() {
    return this.isPlayable && !video.paused ? Math.max(0, video.currentTime - this.offset) : this.time;
  }

  goTo(time) {
    this.time = Math.max(0, Math.min(time, this.length));
    if (this.isPlayable) video.currentTime = this.time + this.offset + 5e-4; // a rounded time must not show the frame before
    else if (this.hasStills) this.fetchStill();
    this.show();
  }

  step(by) {
    this.goTo(this.now() + by);
  }

  toggle() {
    if (!this.isPlayable) return;
    if (video.paused) return video.play().catch(() => {});
    video.pause();
    this.follow();
  }

  follow() {
    if (video.seeking) return;
    // What was asked for stays, to the hundredth, until the video goes on.
    const shown = Math.max(0, video.currentTime - this.offset);
    if (Math.abs(shown - this.time) > 2e-3) this.time = shown;
    this.show();
  }

  show() {
    slider.value = this.time;
    clock.textContent = timecode(this.time);
    slider.setAttribute("aria-valuetext", clock.textContent);
    this.onTime(this.time);
  }
}
