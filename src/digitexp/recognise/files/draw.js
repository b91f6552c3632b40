// The page of `digitexp draw`: strokes to the server when the pen rests, a key to say what it was.
import {drawChart, percent} from "./chart.js";

const REST = 350;            // milliseconds without the pen until a drawing is recognised
const AGAIN = 1500;          // milliseconds until a request that nobody answered is made again
const PEN = 22 / 280;        // of the canvas: as wide as the server draws it
const STEP = 1.5 / 280;      // of the canvas: a point nearer to the last one than this is left out

const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), pen = canvas.getContext("2d");
const unit = 280;            // the strokes' own canvas, whatever its size on the screen

let desk, state;             // what the page began with; how the sitting stands
let drawing = empty();       // what is on the canvas
let last = null;             // the drawing that was labelled last, to be taken back
let turn = Promise.resolve();  // the last change that was asked for
const kept = JSON.parse(sessionStorage.getItem("kept") ?? "{}");  // by id, what left the canvas and has no answer yet
let scope = "sitting", reveal = false;
let timer, active = null, started = 0, following;

function empty() {
  return {sitting: state?.sitting.id, id: crypto.randomUUID(), strokes: [], sent: -1, version: 0, reading: null, pending: null};
}

// Talking to the server -----------------------------------------------------------------------------------------------

async function ask(path, body) {
  const options = body === undefined ? {} :
    {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch(`api/${path}`, options);
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(found.error || `The server says ${answer.status}.`), {status: answer.status});
  return found;
}

// Asks until there is an answer: a server that is being started again is no reason to lose a drawing.
async function insist(path, body) {
  for (;;) {
    try {
      return await ask(path, body);
    } catch (error) {
      if (error.status && error.status !== 429) throw error;
      say(error.status ? "A moment: too fast." : "The server does not answer; your drawing is kept here until it does.");
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }
}

// One change after another: what is drawn next may not overtake a label, nor a label that it is taken back.
function inTurn(change) {
  const made = turn.then(change);
  turn = made.catch(() => {});
  return made;
}

// Store and recognise a drawing, unless that is done; resolves to its reading when the server has it.
function send(mine = drawing) {
  clearTimeout(timer);
  if (mine.sent === mine.version || !mine.strokes.length) return mine.pending || Promise.resolve();
  const version = mine.version;
  mine.sent = version;
  const body = {sitting: mine.sitting, drawing: mine.id, size: unit, strokes: mine.strokes};
  mine.pending = inTurn(() => insist("drawings", body)).then((reading) => {
    if (mine.version === version) mine.reading = {...reading, version};
    if (mine === drawing && mine.version === version) showReading();
    return reading;
  }, (error) => {
    mine.sent = -1;
    mine.pending = null;
    say(error.message);
    throw error;
  });
  mine.pending.catch(() => {});
  return mine.pending;
}

// Store a drawing that leaves the canvas, and its label where there is one: null is what the network reads.
function leave(mine, label) {
  const {sitting, id, strokes} = mine, asked = {sitting, strokes, label};
  const sent = send(mine);
  return surely(id, asked, async () => {
    const reading = await sent.catch((error) => {
      if (error.status !== 409 || !label) throw error;  // it is stored, with another label
    });
    if (label === undefined) return undefined;
    mine.label = asked.label = label ?? reading.predictions[0].read_as;
    save();
    return insist("labels", {sitting, drawing: id, label: mine.label});
  });
}

// Take the label of a drawing back.
function takeBack({sitting, id}) {
  return surely(id, {sitting, taken: true}, () => insist("labels", {sitting, drawing: id, label: null}));
}

// Change what is stored of a drawing that has left the canvas: until it is done, a page that is loaded again does it again.
async function surely(id, asked, change) {
  kept[id] = asked;
  save();
  const found = await inTurn(change);
  if (kept[id] === asked) delete kept[id];  // else another change of it is asked for
  save();
  return found;
}

function save() {
  sessionStorage.setItem("kept", JSON.stringify(kept));
}

// Label what is on the canvas; without a name, as what was asked for, or else as it is read.
async function label(name) {
  if (active !== null || !drawing.strokes.length || !state) return;
  const said = drawing.reading?.version === drawing.version ? drawing.reading.predictions[0]?.read_as : null;
  name ??= state.prompt ?? said ?? null;
  if (name === null && state.sitting.blind) {
    say("Press the key of what you drew: neither network shows what it reads.");
    return;
  }
  const mine = last = drawing;  // at once: the next one may be begun before there is an answer
  drawing = empty();
  show();
  try {
    const found = await leave(mine, name);
    const read = mine.reading?.predictions[0]?.read_as;
    const told = read === undefined ? "" : read === mine.label ? ", read correctly" : `, read as ${read}`;
    say(`Kept as ${mine.label}${told}.`);
    await update(found);
  } catch (error) {
    if (last === mine) last = null;
    if (!drawing.strokes.length) drawing = mine;
    say(error.message);
    show();
  }
}

const accept = () => label();

// A clean canvas; what was on it is stored without a label.
function wipe() {
  if (drawing.strokes.length) leave(drawing).catch(() => {});
  drawing = empty();
}

function clear() {
  if (active !== null) return;
  if (drawing.strokes.length) say("Cleared.");
  wipe();
  show();
}

async function undo() {
  if (active !== null) return;
  if (drawing.strokes.length) {
    drawing.strokes.pop();
    drawing.version += 1;
    drawing.reading = null;
    show();
    if (drawing.strokes.length) timer = setTimeout(send, REST);
    return;
  }
  if (!last) return;
  const mine = drawing = last;  // at once: what is drawn meanwhile is added to it
  last = null;
  show();
  try {
    const found = await takeBack(mine);
    say(`Taken back: it is no longer kept as ${mine.label}.`);
    showReading();
    await update(found);
  } catch (error) {
    say(error.message);
  }
}

// The pen -------------------------------------------------------------------------------------------------------------

function point(event) {
  const box = canvas.getBoundingClientRect();
  const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * unit * 100) / 100;
  return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height),
    Math.min(3600000, Math.max(0, Math.round(event.timeStamp - started)))];  // an hour is the most that the server takes
}

canvas.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button || active !== null || !state) return;
  event.preventDefault();
  document.activeElement?.blur();
  clearTimeout(timer);
  active = event.pointerId;
  canvas.setPointerCapture(active);
  if (!drawing.strokes.length) started = event.timeStamp;
  drawing.strokes.push([point(event)]);
  drawing.version += 1;
  paint();
});

canvas.addEventListener("pointermove", (event) => {
  if (event.pointerId !== active) return;
  const stroke = drawing.strokes.at(-1);
  for (const each of event.getCoalescedEvents?.() ?? [event]) {
    const found = point(each), before = stroke.at(-1);
    if (Math.hypot(found[0] - before[0], found[1] - before[1]) >= STEP * unit && stroke.length < 2000) stroke.push(found);
  }
  drawing.version += 1;
  paint();
});

function lift(event) {
  if (event.pointerId !== active) return;
  active = null;
  show();
  timer = setTimeout(send, REST);
}
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);

function paint() {
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  if (canvas.width !== side) canvas.width = canvas.height = side;
  pen.clearRect(0, 0, side, side);
  pen.lineWidth = PEN * side;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "#1d1d1b";
  for (const stroke of drawing.strokes) {
    pen.beginPath();
    for (const [x, y] of stroke) pen.lineTo(x * side / unit, y * side / unit);
    if (stroke.length === 1) pen.lineTo(stroke[0][0] * side / unit + 0.01, stroke[0][1] * side / unit);
    pen.stroke();
  }
}

// What is shown -------------------------------------------------------------------------------------------------------

function say(text) {
  $("note").textContent = text;
}

function show() {
  paint();
  const drawn = drawing.strokes.length > 0;
  $("clear").disabled = $("accept").disabled = !drawn;
  $("undo").disabled = !drawn && !last;
  if (!drawing.reading) showReading();
  const {sitting, id, strokes} = drawing;
  if (state) sessionStorage.setItem("drawing", JSON.stringify({sitting, id, strokes}));
}

function showReading() {
  const reading = drawing.reading, said = reading?.predictions[0];
  const shares = said ? Object.fromEntries(said.classes.map((name, place) => [name, said.probabilities[place]])) : {};
  $("answer").textContent = said?.read_as ?? "";
  $("sure").textContent = said ? percent(shares[said.read_as], 1) : reading ? "hidden until you say what it is" : "";
  const seen = $("seen").getContext("2d"), picture = seen.createImageData(28, 28);
  const grey = reading ? Uint8Array.from(atob(reading.image), (letter) => letter.charCodeAt(0)) : new Uint8Array(784);
  grey.forEach((value, place) => picture.data.set([value, value, value, 255], 4 * place));
  seen.putImageData(picture, 0, 0);
  $("warnings").replaceChildren(...(reading?.warnings ?? []).map((text) => element("li", text)));
  for (const key of $("keys").children) {
    const name = key.dataset.label, share = shares[name];
    key.classList.toggle("read", name === said?.read_as);
    key.classList.toggle("asked", name === state?.prompt);
    key.querySelector(".bar").style.height = `${(share ?? 0) * 3.4}rem`;
    key.querySelector(".share").textContent = share === undefined ? "" : share >= 0.005 ? Math.round(100 * share) : "";
    key.setAttribute("aria-label", `Label ${name}${share === undefined ? "" : `, probability ${percent(share)}`}`);
    key.disabled = !drawing.strokes.length;
  }
  if (said) say(`Read as ${said.read_as}, ${percent(shares[said.read_as])}.`);
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// The label's answer is about this sitting; where all are shown, or networks are revealed, they are asked for.
async function update(found) {
  const asked = scope !== "sitting" || reveal;
  state = asked || !found ? await insist(`sittings/${state.sitting.id}?scope=${scope}&reveal=${reveal}`) : found;
  showState();
}

function showState() {
  const {sitting, standings} = state;
  sessionStorage.setItem("sitting", sitting.id);
  sessionStorage.setItem("settings", settings());
  $("sitting").textContent = `${sitting.writer}, ${sitting.role === "train" ? "trained on" : "scored"}`;
  $("prompt").replaceChildren(...(state.prompt ? ["Draw ", element("b", state.prompt)] : ["Draw a digit"]));
  canvas.setAttribute("aria-label", `Canvas: draw ${state.prompt ?? "here"} with mouse, finger or pen`);
  const current = standings.filter((one) => state.networks.includes(one.model));
  const shown = current.length ? current : standings;
  $("accuracy").textContent = shown.length === 1 ? short(shown[0].total) : shown.length
    ? shown.map((one) => `${one.model} ${percent(one.total.correct / one.total.n, 1)}`).join(", ") : "No drawing yet";
  drawChart($("chart"), shown);
  $("tables").replaceChildren(...standings.flatMap((one) => [
    table(`${one.model} by digit`, one.digits), table(`${one.model} by writer`, one.writers)]));
  $("duel").textContent = state.duel ? inDuel(state.duel) : "";
  $("reveal").hidden = !sitting.blind || reveal || !state.labelled;
  show();
}

function short(share) {
  return `${share.correct} of ${share.n}: ${percent(share.correct / share.n, 1)} (${percent(share.low)} to ${percent(share.high)})`;
}

function inDuel(duel) {
  if (!duel.n) return "Two networks read every drawing; which is which stays hidden.";
  const [a, b] = duel.names;
  const found = `Only ${a} was right on ${duel.only_first}, only ${b} on ${duel.only_second} of ${duel.n}. `;
  if (duel.further === 0) return `${found}They differ (p = ${duel.p.toPrecision(2)}).`;
  if (duel.further === null) return `${found}Nothing tells them apart yet.`;
  return `${found}About ${duel.further.toLocaleString("en")} more drawings would tell them apart.`;
}

function table(title, shares) {
  const made = element("table");
  made.append(element("caption", title));
  for (const share of shares) {
    const row = made.insertRow();
    const name = element("th", share.name);
    name.scope = "row";
    row.append(name);
    row.insertCell().textContent = `${share.correct} of ${share.n}`;
    row.insertCell().textContent = percent(share.correct / share.n);
    row.insertCell().textContent = `${percent(share.low)} to ${percent(share.high)}`;
  }
  return made;
}

function makeKeys() {
  $("keys").style.gridTemplateColumns = `repeat(${Math.min(desk.classes.length, 13)}, minmax(0, 1fr))`;
  $("keys").replaceChildren(...desk.classes.map((name) => {
    const key = element("button");
    key.dataset.label = name;
    key.append(element("span", undefined, "bar"), element("span", "", "share"), element("span", name, "name"));
    key.addEventListener("click", () => label(name));
    return key;
  }));
}

// Sittings ------------------------------------------------------------------------------------------------------------

async function begin(writer, role, prompted) {
  state = await inTurn(() => insist("sittings", {writer, role, prompted}));
  wipe();
  last = null;
  reveal = false;
  showState();
  say("");
}

$("open-sitting").addEventListener("click", () => {
  const {sitting, counts, labelled} = state;
  $("writer").value = sitting.writer;
  document.querySelector(`input[name=role][value=${sitting.role}]`).checked = true;
  $("prompted").checked = sitting.prompted;
  $("sitting-about").textContent = `${labelled} drawings in this sitting; in the store ${counts.train} to train on, ` +
    `${counts.score} to score.`;
  $("sitting-note").textContent = "";
  $("sitting-dialog").showModal();
});

$("sitting-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await begin($("writer").value, document.querySelector("input[name=role]:checked").value, $("prompted").checked);
    $("sitting-dialog").close();
  } catch (error) {
    $("sitting-note").textContent = error.message;
  }
});

$("end-sitting").addEventListener("click", async () => {
  $("sitting-note").textContent = "Writing ...";
  try {
    const {runs} = await ask("sittings/end", {sitting: state.sitting.id});
    $("sitting-note").textContent = runs.length ? "Logged to MLflow, experiment sittings." : "No labelled drawing to log yet.";
  } catch (error) {
    $("sitting-note").textContent = error.message;
  }
});

$("everything").addEventListener("change", (event) => {
  scope = event.target.checked ? "all" : "sitting";
  update();
});
$("reveal").addEventListener("click", () => {
  reveal = true;
  update();
});

// Retraining ----------------------------------------------------------------------------------------------------------

const RUNNING = ["training", "comparing"];

async function follow() {
  clearTimeout(following);
  const found = await ask("retraining").catch(() => null);
  if (found) showRetraining(found);
  if (!found || RUNNING.includes(found.phase)) following = setTimeout(follow, 800);
}

function showRetraining(found) {
  const running = RUNNING.includes(found.phase);
  const said = {
    idle: "", stopped: "Stopped.", failed: found.message, comparing: "Comparing on the frozen drawings ...",
    training: found.epoch ? `Training: epoch ${found.epoch} of ${found.epochs}` : "Starting ...",
    done: found.round ? found.round.verdict : "Done. There is no drawing to score: draw a sitting to be scored to compare.",
  };
  $("retraining-status").textContent = said[found.phase];
  $("progress").hidden = !running;
  if (found.epoch || found.phase === "comparing") {
    $("progress").max = found.epochs;
    $("progress").value = found.phase === "comparing" ? found.epochs : found.epoch;
  } else {
    $("progress").removeAttribute("value");
  }
  $("retraining-warnings").replaceChildren(...found.warnings.map((text) => element("li", text)));
  $("command-details").hidden = !found.command;
  $("command").textContent = found.command;
  $("lines").textContent = found.lines.join("\n");
  $("start").disabled = running;
  $("stop").hidden = !running;
  $("promote").hidden = !found.promotable || running;
  $("round").replaceChildren();
  if (found.round) {
    const {old, new: fresh, gain, low, high, p, further} = found.round;
    const rows = table("On the frozen drawings", [{...old, name: "before"}, {...fresh, name: "after"}]);
    const more = further ? ` About ${further.toLocaleString("en")} more drawings to score would settle it.` : "";
    const points = (value) => `${value >= 0 ? "+" : "−"}${Math.abs(100 * value).toFixed(1)}`;
    $("round").append(rows, element("p",
      `Gain ${points(gain)} points, 95 % interval ${points(low)} to ${points(high)} (paired, p = ${p.toPrecision(2)}).${more}`, "quiet"));
  }
}

$("open-retraining").addEventListener("click", async () => {
  const found = await insist(`sittings/${state.sitting.id}?scope=all`);
  const counted = found.counts;
  $("retraining-about").textContent = `Trains ${desk.networks[0] ?? "the first network"} again, with ${counted.train} ` +
    `drawings to train on` + (counted.score ? `, and compares both on the ${counted.score} to score.`
    : ". There is none to score yet: without a sitting to be scored, nothing says whether it helped.");
  $("retraining-dialog").showModal();
  follow();
});
$("start").addEventListener("click", async () => {
  try {
    showRetraining(await ask("retraining", {only_misread: $("only-misread").checked}));
    follow();
  } catch (error) {
    $("retraining-status").textContent = error.message;
  }
});
$("stop").addEventListener("click", () => ask("retraining/stop", {}).then(follow, () => {}));
$("promote").addEventListener("click", async () => {
  try {
    const {champion} = await ask("champion", {});
    desk = await ask("desk");
    await follow();
    $("retraining-status").textContent = `${champion} is the champion now, and recognises from here on.`;
    await update();
  } catch (error) {
    $("retraining-status").textContent = error.message;
  }
});

// Keys and buttons ----------------------------------------------------------------------------------------------------

for (const [id, action] of Object.entries({undo, clear, accept})) $(id).addEventListener("click", action);
for (const button of document.querySelectorAll("button.close")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
// After a tap or a click, Enter means accept again, not the same button once more.
document.addEventListener("click", (event) => {
  if (event.detail) event.target.closest?.("main button")?.blur();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, dialog, summary, a") || document.querySelector("dialog[open]");
  if (typing || event.altKey || event.isComposing || !state) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.shiftKey) {
    event.preventDefault();
    if (!event.repeat) undo();
  } else if (event.ctrlKey || event.metaKey || event.repeat) {
    return;
  } else if (event.key === "Escape") {
    clear();
  } else if (event.key === "Enter" && !event.target.closest?.("button")) {
    event.preventDefault();
    accept();
  } else if (desk.classes.includes(event.key)) {
    event.preventDefault();
    label(event.key);
  }
});

new ResizeObserver(() => {
  paint();
  if (state) showState();
}).observe(canvas);

// Begin, or go on after a reload --------------------------------------------------------------------------------------

// Whom the server was started for: a sitting goes on only under the settings that it began under.
function settings() {
  const {writer, role, prompted, blind} = desk;
  return JSON.stringify({writer, role, prompted, blind});
}

async function open() {
  desk = await insist("desk");
  makeKeys();
  await Promise.allSettled(Object.entries(kept).map(([id, {label, taken, ...mine}]) =>
    taken ? takeBack({...mine, id}) : leave({...empty(), ...mine, id}, label)));
  if (sessionStorage.getItem("settings") === settings()) {
    state = await ask(`sittings/${sessionStorage.getItem("sitting")}`).catch(() => undefined);
  }
  drawing = {...empty(), ...JSON.parse(sessionStorage.getItem("drawing"))};
  if (!state) await begin(desk.writer, desk.role, desk.prompted);
  send().catch(() => {
    drawing = empty();  // it has its label already
    show();
  });
  showState();
}
open();
