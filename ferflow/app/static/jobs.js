const list = document.getElementById("jobs"), empty = document.getElementById("no-jobs"), message = document.getElementById("message");
const words = { queued: "waiting", running: "being analysed", done: "done", failed: "failed", cancelled: "cancelled" };

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function isOpen(job) {
  return job.state === "queued" || job.state === "running";
}

function show(row, job) {
  const name = element("span", "job-name"), tools = element("div", "job-tools");
  name.append(element("bdi", "", job.name));
  tools.append(element("span", job.state === "failed" ? "status incomplete" : "status", words[job.state]));
  if (job.report) {
    const link = element("a", "button", "Open the report");
    link.href = job.report;
    tools.append(link);
  }
  if (isOpen(job)) {
    const cancel = element("button", "", "Cancel");
    cancel.type = "button";
    cancel.setAttribute("aria-label", `Cancel ${job.name}`);
    cancel.onclick = () => fetch(`/api/jobs/${job.id}`, { method: "DELETE" });
    tools.append(cancel);
  }
  const hadFocus = row.contains(document.activeElement);
  row.replaceChildren(name, tools);
  if (hadFocus) row.querySelector("button, a")?.focus();
  if (job.state === "running") {
    const bar = element("progress");
    bar.setAttribute("aria-label", `Progress of ${job.name}`);
    if (job.of_seconds) { bar.max = job.of_seconds; bar.value = Math.min(job.seconds, job.of_seconds); }
    const of = job.of_seconds ? ` of ${clock(job.of_seconds)}` : "";
    row.append(bar, element("p", "hint", job.seconds ? `${clock(job.seconds)}${of} analysed` : "Starting …"));
  }
  for (const text of [job.error, ...job.warnings]) if (text) row.append(element("p", "hint", text));
}

function follow(job) {
  const row = element("li");
  list.prepend(row);
  show(row, job);
  if (!isOpen(job)) return;
  const events = new EventSource(`/api/jobs/${job.id}/events`);
  events.onmessage = (event) => {
    const now = JSON.parse(event.data);
    show(row, now);
    if (!isOpen(now)) events.close();
  };
}

try {
  const found = await (await fetch("/api/jobs")).json();
  empty.hidden = found.length > 0;
  found.forEach(follow);
} catch {
  message.textContent = "The application does not answer. Is it still running?";
  message.hidden = false;
}
