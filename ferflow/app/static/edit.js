import { element } from "/static/faces.js";
import { parseTime, Player, seconds, timecode } from "/static/edit_player.js";

const id = (name) => document.getElementById(name);
const page = id("edit"), message = id("message"), status = id("status");
const path = `/api/videos/${encodeURIComponent(page.dataset.video)}`;
let state = null, chosenMarker = null, changed = null, changedCoding = null, opened = new Set();
// The two parts of the status: what became of the last action, and whether the report's pages are written.
let lastAction = "", pages = {};
const selected = new Set(); // people to merge
const player = new Player(showTime);

// --- Requests -----------------------------------------------------------------------------------------
function say(text) {
  message.textContent = text;
  message.hidden = !text;
}

async function ask(address, options) {
  try {
    const answer = await fetch(address, options), found = await answer.json();
    return answer.ok ? found : { error: found.error || answer.statusText, status: answer.status };
  } catch {
    return { error: "The application does not answer. Is it still running?" };
  }
}

// Changes follow one another: each needs the version that the one before has left.
let before = Promise.resolve();
function inTurn(work) {
  before = before.then(work, work);
  return before;
}

async function save(edit, done = "Saved") {
  return inTurn(async () => {
    say("");
    const found = await ask(`${path}/edits`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...edit, version: state.version }) });
    if (found.error) return refuse(found);
    take(found, done);
    return true;
  });
}

async function refuse(found) {
  if (found.status === 409) take(await ask(`${path}/edit`), "");
  say(found.error);
  showAction("Not saved");
  return false;
}

function undo() {
  return inTurn(async () => {
    say("");
    const found = await ask(`${path}/undo`, { method: "POST" });
    if (found.error) return refuse(found);
    take(found, "Undone");
    return true;
  });
}

function take(found, done) {
  if (found.error) return say(found.error);
  state = found;
  lastAction = done;
  render();
  followPages(found);
}

function showAction(text) {
  lastAction = text;
  showStatus();
}

function showStatus() {
  const { state: written, problem } = pages;
  const words = { updating: "the report is being written", current: "the report is up to date", failed: `the report could not be written: ${problem}` };
  status.textContent = [lastAction, words[written]].filter(Boolean).join(" · ");
}

function followPages(found) {
  const seen = pages = { state: found.pages, problem: found.problem };
  showStatus();
  if (found.pages !== "updating") return;
  setTimeout(async () => {
    if (pages !== seen) return;
    const now = await ask(`${path}/edit/status`);
    // A change that was saved in the meantime has an answer of its own.
    if (pages === seen) followPages(now.error ? found : now);
  }, 700);
}

// --- Lists --------------------------------------------------------------------------------------------
// Lists are built again after each change; the focus, and text that is not saved yet, stay where they were.
function render() {
  const focus = document.activeElement?.dataset?.key, list = document.activeElement?.closest("section");
  const typed = [...page.querySelectorAll("input[data-key]")].filter((one) => one.value !== one.defaultValue).map((one) => [one.dataset.key, one.value]);
  opened = new Set([...page.querySelectorAll("details[data-key][open]")].map((one) => one.dataset.key));
  id("undo").disabled = !state.n_undo;
  id("undo").textContent = state.n_undo ? `Undo (${state.n_undo})` : "Undo";
  renderMarkers();
  renderPeople();
  renderCorrections();
  renderCodings();
  renderStrip();
  const find = (key) => page.querySelector(`[data-key="${CSS.escape(key)}"]`);
  for (const [key, text] of typed) if (find(key)) find(key).value = text;
  if (focus && focus !== document.activeElement?.dataset?.key) (find(focus) || focusable(list))?.focus();
}

function focusable(list) {
  return list && [...list.querySelectorAll("button, input, select")].find((one) => one.checkVisibility() && !one.disabled);
}

function button(text, name, key, act) {
  const made = element("button", "", text);
  made.type = "button";
  made.dataset.key = key;
  if (name) made.setAttribute("aria-label", name);
  made.addEventListener("click", act);
  return made;
}

function field(value, name, key, act, names = "") {
  const made = element("input");
  made.defaultValue = value;
  made.dataset.key = key;
  made.setAttribute("aria-label", name);
  if (names) made.setAttribute("list", names);
  made.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); act(made.value); } });
  return made;
}

function timeButton(time, key, act = () => player.goTo(time)) {
  const made = button(timecode(time), `Go to ${timecode(time)}`, key, act);
  made.className = "time";
  return made;
}

function note(text) {
  return element("p", "hint", text);
}

function bdi(text) {
  return element("bdi", "", text);
}

function options(select, pairs) {
  const kept = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => {
    const option = element("option", "", text);
    option.value = value;
    return option;
  }));
  if (pairs.some(([value]) => value === kept)) select.value = kept;
}

function renderMarkers() {
  const cannot = state.why_no_markers;
  id("no-markers-here").textContent = cannot;
  id("no-markers-here").hidden = !cannot;
  id("markers-tools").hidden = id("mark-now").hidden = Boolean(cannot);
  id("marker-keys").replaceChildren(...markerLabels().map((label, k) => {
    const row = element("li");
    row.append(element("kbd", "", String(k + 1)), " ", bdi(label));
    return row;
  }));
  if (!state.markers.some(({ line }) => line === chosenMarker)) chosenMarker = null;
  id("markers").replaceChildren(...state.markers.map(markerRow));
  if (!state.markers.length && !cannot) id("markers").append(element("li", "hint", "No marker yet."));
}

function markerLabels() {
  const found = [...new Set(state.markers.map(({ label }) => label))];
  return found.sort((a, b) => a.localeCompare(b)).slice(0, 9);
}

function markerRow(marker) {
  const row = element("li"), key = `marker-${marker.line}`, name = `${marker.label} at ${timecode(marker.time_s)}`;
  const label = field(marker.label, `Label of ${name}`, `${key}-label`, (text) => changeMarker(marker, { label: text }));
  row.classList.toggle("chosen", marker.line === chosenMarker);
  if (marker.line === chosenMarker) row.setAttribute("aria-current", "true");
  row.dataset.line = marker.line;
  row.addEventListener("click", () => choose(marker.line));
  row.append(timeButton(marker.time_s, `${key}-go`));
  if (marker.end_s !== null) row.append(element("span", "", `to ${timecode(marker.end_s)}`));
  row.append(label);
  if (marker.kind) row.append(element("span", "soft", marker.kind));
  row.append(
    button("Move here", `Move ${name} to the present time`, `${key}-move`, () => moveMarker(marker)),
    button("End here", `Let ${name} last until the present time`, `${key}-end`, () => changeMarker(marker, { end_s: player.now() })),
    button("Remove", `Remove ${name}`, `${key}-remove`, () => removeMarker(marker)),
  );
  return row;
}

function choose(line) {
  chosenMarker = line;
  state.markers.forEach((marker, k) => {
    const row = id("markers").children[k];
    row.classList.toggle("chosen", marker.line === line);
    row.toggleAttribute("aria-current", marker.line === line);
  });
}

function mark(label) {
  if (state.why_no_markers) return say(state.why_no_markers);
  if (!label.trim()) return say("A marker needs a label.");
  return save({ edit: "mark", time_s: player.now(), label }, `Marker ${label} set at ${timecode(player.now())}`);
}

function changeMarker({ line, time_s, end_s, label, kind }, change) {
  return save({ edit: "move", line, time_s, end_s, label, kind, ...change });
}

function moveMarker(marker) {
  const time_s = player.now(), end_s = marker.end_s === null ? null : marker.end_s + time_s - marker.time_s;
  return changeMarker(marker, { time_s, end_s });
}

function removeMarker({ line }) {
  return save({ edit: "unmark", line }, "Marker removed");
}

function nextMarker(direction) {
  const now = player.now(), sorted = [...state.markers].sort((a, b) => a.time_s - b.time_s);
  const found = direction > 0 ? sorted.find(({ time_s }) => time_s > now + 0.01) : sorted.findLast(({ time_s }) => time_s < now - 0.01);
  if (!found) return;
  choose(found.line);
  player.goTo(found.time_s);
  showAction(`Marker ${found.label} at ${timecode(found.time_s)}`);
}

// The one that has the focus, or else the one that was chosen.
function withChosen(act) {
  const focused = document.activeElement?.closest("#markers li")?.dataset.line;
  const marker = state.markers.find(({ line }) => line === (focused ? Number(focused) : chosenMarker));
  return marker ? act(marker) : say("No marker is chosen. Press n or p to choose one.");
}

function renderPeople() {
  options(id("who"), [["", "everybody"], ...state.persons.map(({ name }) => [name, name])]);
  options(id("code-who"), [["", "everybody"], ...state.persons.map(({ name }) => [name, name])]);
  id("names").replaceChildren(...state.persons.map(({ name }) => new Option("", name)));
  for (const one of selected) if (!state.persons.some((person) => person.id === one)) selected.delete(one);
  id("people").replaceChildren(...state.persons.map(personCard));
  if (!state.persons.length) id("people").append(element("li", "hint", "No person is in this video, or all are left out."));
  id("merge-tools").hidden = state.persons.length < 2;
}

function picture(kind, number, name) {
  if (!state.has_source) return element("span", "no-picture");
  const image = new Image();
  image.loading = "lazy";
  image.alt = `Picture of ${name}`;
  image.src = `${path}/thumbnails/${kind}/${number}?of=${state.version}`;
  return image;
}

function personCard(person) {
  const card = element("li"), words = element("div"), choice = element("label", "checkbox"), box = element("input");
  const tracks = state.tracks.filter(({ pieces }) => pieces.some(([, one]) => one === person.id)), key = `person-${person.id}`;
  box.type = "checkbox";
  box.checked = selected.has(person.id);
  box.dataset.key = `${key}-choose`;
  box.setAttribute("aria-label", `Choose ${person.name}, to merge`);
  box.addEventListener("change", () => (box.checked ? selected.add(person.id) : selected.delete(person.id)));
  choice.append(box, " choose");
  const rename = (name) => save({ edit: "name", persons: [person.id], name });
  const name = field(person.name, `Name of ${person.name}`, `${key}-name`, rename);
  const tools = element("div", "fields");
  tools.append(name, button("Save name", `Save the name of ${person.name}`, `${key}-save`, () => rename(name.value)), choice,
    button("Leave out", `Leave out ${person.name}`, `${key}-drop`, () => save({ edit: "correct", action: "drop", person: person.name }, `${person.name} is left out`)));
  const details = element("details");
  details.dataset.key = `${key}-tracks`;
  details.append(element("summary", "", `Tracks (${tracks.length})`));
  // Pictures of hundreds of tracks are fetched only when somebody looks at them.
  const fill = () => details.open && details.childElementCount === 1 && details.append(trackList(tracks));
  details.open = opened.has(details.dataset.key);
  details.addEventListener("toggle", fill);
  fill();
  words.append(tools, note(`Seen from ${timecode(Math.min(...tracks.map((one) => one.first_s)))} to ${timecode(Math.max(...tracks.map((one) => one.last_s)))}`), details);
  card.append(picture("person", person.id, person.name), words);
  return card;
}

function trackList(tracks) {
  const list = element("ul", "rows");
  list.append(...tracks.map(trackRow));
  return list;
}

function trackRow(track) {
  const row = element("li"), key = `track-${track.id}`, name = `track ${track.id}`;
  const give = (text, from_s) => save({ edit: "split", track_id: track.id, name: text, from_s });
  const whose = field("", `Whose ${name} is`, `${key}-name`, (text) => give(text, 0), "names");
  whose.placeholder = "name";
  row.append(picture("track", track.id, name), element("span", "", name), timeButton(track.first_s, `${key}-first`), timeButton(track.last_s, `${key}-last`), whose,
    button("Is this person", `Give ${name} to this person`, `${key}-give`, () => give(whose.value, 0)),
    button("From now on", `Give ${name}, from the present time on, to this person`, `${key}-from`, () => giveFromNow(track, whose.value, give)),
    button("Leave out", `Leave out ${name}`, `${key}-drop`, () => save({ edit: "correct", action: "drop", person: name }, `${name} is left out`)));
  return row;
}

function giveFromNow(track, text, give) {
  const now = player.now();
  if (now <= track.first_s || now > track.last_s) return say(`Track ${track.id} lasts from ${timecode(track.first_s)} to ${timecode(track.last_s)}; go to a time in it first.`);
  return give(text, now);
}

function renderCorrections() {
  options(id("value"), state.labels.map((label) => [label, label]));
  id("corrections").replaceChildren(...state.corrections.map(correctionRow));
  if (!state.corrections.length) id("corrections").append(element("li", "hint", "Nothing is left out or corrected."));
}

function stretchButtons(row, one, key) {
  for (const name of ["start", "end"]) {
    const time = parseTime(one[name]);
    if (!Number.isNaN(time)) row.append(timeButton(time, `${key}-${name}`));
    else if (one[name]) row.append(element("span", "", one[name]));
  }
}

function correctionRow(one) {
  const row = element("li"), key = `correction-${one.line}`, words = { exclude: "left out", drop: "left out throughout", relabel: "shows" };
  stretchButtons(row, one, key);
  const text = element("span", "text"), who = one.person || "everybody";
  text.append(bdi(who), ` ${words[one.action] || one.action} `, bdi(one.value), one.note ? " · " : "", bdi(one.note));
  row.append(text);
  const name = `${who} ${words[one.action] || one.action}`;
  if (one.action !== "drop") row.append(button("Change", `Change: ${name}`, `${key}-change`, () => editCorrection(one)));
  row.append(button("Remove", `Remove: ${name}`, `${key}-remove`, () => save({ edit: "remove", line: one.line }, "Removed")));
  return row;
}

function editCorrection(one) {
  changed = one.line;
  for (const name of ["start", "end", "note"]) id(name).value = one[name];
  id("action").value = one.action;
  if (one.person && ![...id("who").options].some(({ value }) => value === one.person)) id("who").append(new Option(one.person));
  id("who").value = one.person;
  if (one.value) id("value").value = one.value;
  showForms();
  id("action").focus();
}

async function saveCorrection() {
  const row = { action: id("action").value, start: id("start").value, end: id("end").value, person: id("who").value, note: id("note").value };
  if (row.action === "relabel") row.value = id("value").value;
  const edit = changed === null ? { edit: "correct", ...row } : { edit: "change", line: changed, ...row };
  if (await save(edit)) {
    changed = null;
    id("note").value = "";
    showForms();
  }
}

function renderCodings() {
  id("coders").replaceChildren(...state.coders.map((coder) => new Option("", coder)));
  const labels = new Set([...state.labels, ...state.codings.map(({ label }) => label)]);
  id("labels").replaceChildren(...[...labels].map((label) => new Option("", label)));
  id("codings").replaceChildren(...state.codings.map(codingRow));
  if (!state.codings.length) id("codings").append(element("li", "hint", "Nothing is coded yet."));
}

function codingRow(one) {
  const row = element("li"), key = `coding-${one.coder}-${one.line}`, text = element("span", "text"), name = `${one.label} by ${one.coder}`;
  stretchButtons(row, one, key);
  text.append(bdi(one.person || "everybody"), " ", bdi(one.label), " · ", bdi(one.coder));
  row.append(text, button("Change", `Change: ${name}`, `${key}-change`, () => editCoding(one)),
    button("Remove", `Remove: ${name}`, `${key}-remove`, () => save({ edit: "uncode", coder: one.coder, line: one.line }, "Removed")));
  return row;
}

function editCoding(one) {
  changedCoding = one;
  for (const name of ["start", "end"]) id(name).value = one[name];
  id("coder").value = one.coder;
  id("code-label").value = one.label;
  if (one.person && ![...id("code-who").options].some(({ value }) => value === one.person)) id("code-who").append(new Option(one.person));
  id("code-who").value = one.person;
  showForms();
  id("code-label").focus();
}

async function saveCoding() {
  const row = { coder: id("coder").value.trim(), start: id("start").value, end: id("end").value, label: id("code-label").value, person: id("code-who").value };
  const edit = changedCoding === null ? { edit: "code", ...row } : { edit: "recode", ...row, coder: changedCoding.coder, line: changedCoding.line };
  if (await save(edit)) {
    changedCoding = null;
    // The next stretch most often begins where this one ends.
    id("start").value = row.end;
    id("end").value = "";
    showForms();
  }
}

function showForms() {
  id("value-field").hidden = id("action").value !== "relabel";
  id("save-correction").textContent = changed === null ? "Save" : "Save the change";
  id("cancel-correction").hidden = changed === null;
  id("save-coding").textContent = changedCoding === null ? "Save" : "Save the change";
  id("cancel-coding").hidden = changedCoding === null;
  id("coder").disabled = changedCoding !== null;
}

function renderStrip() {
  const place = (part, from, to) => {
    part.style.left = `${(100 * from) / player.length}%`;
    if (to !== undefined) part.style.width = `${(100 * (to - from)) / player.length}%`;
    return part;
  };
  const out = state.corrections.filter(({ action }) => action === "exclude").map(({ start, end }) => place(element("i", "out"), parseTime(start) || 0, parseTime(end) || player.length));
  const coded = state.codings.map(({ start, end }) => [parseTime(start), parseTime(end)]).filter(([from, to]) => to > from).map(([from, to]) => place(element("i", "coded"), from, to));
  const marks = state.markers.map(({ time_s }) => place(element("i", "mark"), time_s));
  id("strip").replaceChildren(...out, ...coded, ...marks, element("i", "head"));
  showTime(player.time);
}

function showTime(time) {
  const head = id("strip").querySelector(".head");
  if (head) head.style.left = `${(100 * time) / player.length}%`;
}

// --- Keys and buttons ---------------------------------------------------------------------------------
function setTime(name) {
  id(name).value = seconds(player.now());
  showAction(`${name === "start" ? "Start" : "End"} is ${timecode(player.now())}`);
}

function toggleKeys() {
  id("keys").open = !id("keys").open;
  if (id("keys").open) id("keys").querySelector("summary").focus();
}

const actions = {
  " ": () => player.toggle(), k: () => player.toggle(),
  ",": () => player.step(-(state.frame_s || 0.04)), ".": () => player.step(state.frame_s || 0.04),
  m: () => mark(id("marker-label").value), n: () => nextMarker(1), p: () => nextMarker(-1), h: () => withChosen(moveMarker), d: () => withChosen(removeMarker),
  i: () => setTime("start"), o: () => setTime("end"), x: saveCorrection, c: saveCoding, u: undo, "?": toggleKeys,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !id("keys-on").checked || !state) return;
  const { target, key } = event;
  if (target.matches("input:not([type=range], [type=checkbox]), select, textarea")) return;
  if (key === " " && target.matches("button, summary, a, input[type=checkbox]")) return;
  if (key.startsWith("Arrow")) {
    if (target.type === "range" || !["ArrowLeft", "ArrowRight"].includes(key)) return;
    event.preventDefault();
    return player.step((key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 5 : 1));
  }
  const label = /^[1-9]$/.test(key) ? markerLabels()[Number(key) - 1] : undefined;
  const act = label === undefined ? actions[key] : () => mark(label);
  if (!act) return;
  event.preventDefault();
  if (!event.repeat || key === "," || key === ".") act();
}

addEventListener("keydown", onKey);
for (const one of page.querySelectorAll("[data-step]")) one.addEventListener("click", () => player.step(Number(one.dataset.step)));
id("go-to").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const time = parseTime(event.target.value);
  if (Number.isNaN(time)) say(`${event.target.value}: no time. Write seconds (83.5) or a time such as 1:23.5.`);
  else player.goTo(time);
});
id("start-here").addEventListener("click", () => setTime("start"));
id("end-here").addEventListener("click", () => setTime("end"));
id("undo").addEventListener("click", undo);
for (const name of ["mark", "mark-now"]) id(name).addEventListener("click", () => mark(id("marker-label").value));
id("marker-label").addEventListener("keydown", (event) => { if (event.key === "Enter") mark(event.target.value); });
id("merge").addEventListener("click", async () => {
  if (selected.size < 2) return say("Choose at least two people to merge.");
  const names = state.persons.filter((person) => selected.has(person.id)).map(({ name }) => name);
  if (await save({ edit: "name", persons: [...selected], name: id("merge-name").value || names[0] }, "Merged")) {
    selected.clear();
    id("merge-name").value = "";
    render();
  }
});
id("action").addEventListener("change", showForms);
id("correct").addEventListener("submit", (event) => { event.preventDefault(); saveCorrection(); });
id("code").addEventListener("submit", (event) => { event.preventDefault(); saveCoding(); });
id("cancel-correction").addEventListener("click", () => { changed = null; showForms(); id("action").focus(); });
id("cancel-coding").addEventListener("click", () => { changedCoding = null; showForms(); id("code-label").focus(); });

const found = await ask(`${path}/edit`);
if (found.error) {
  say(found.error);
  status.textContent = "";
} else {
  state = found;
  page.hidden = false;
  document.querySelector("#name bdi").textContent = state.name;
  document.title = `Edit ${state.name} · ferflow`;
  player.open(state);
  take(found, "");
  showForms();
}
