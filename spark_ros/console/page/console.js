// The session console's page. It shows what the server tells it and asks for what its buttons say; it decides nothing.
"use strict";

const SILENT_MS = 2000; // the server speaks four times a second; silent for so long, nothing shown here is to be believed
const STOP_MS = 3000; // a stop that is not confirmed by then is not confirmed
const SURE_MS = 3000;
const OLD_MS = 1500; // a picture that is older is covered
const PAGE = 24; // episodes at a time
const WORDS = {
  idle: ["IDLE", "nobody moves the arm"],
  teleop: ["TELEOP", "the operator moves the arm while the deadman is held"],
  policy: ["POLICY", "the policy moves the arm"],
  hold: ["HOLD", "the arm is held where it is"],
  fault: ["FAULT", "stopped; latched until reset"],
};
const STATES = {
  inactive: "recorder not active", waiting: "not ready", ready: "ready to record", recording: "RECORDING",
  stopped: "recording stopped by itself",
};
const $ = (id) => document.getElementById(id);
let state = null; // the newest snapshot
let heard = -Infinity; // when it came
let pending = new Set(); // commands that have not been answered

// --- asking ------------------------------------------------------------------------------------------------------------
async function post(path, values, wait) {
  try {
    const response = await fetch(path, {
      method: "POST", headers: { "X-Spark-Console": "1", "Content-Type": "application/json" },
      body: JSON.stringify(values || {}), signal: wait ? AbortSignal.timeout(wait) : undefined,
    });
    const text = await response.text();
    try { return JSON.parse(text); } catch { return { outcome: "refused", message: text.trim() }; }
  } catch (error) {
    return { outcome: "unanswered", message: "the console did not answer" };
  }
}

function say(answer) {
  $("answer").className = `answer ${answer.outcome}`;
  $("answer").textContent = answer.message;
}

async function ask(command) {
  if (pending.has(command) || !allowed(command)) return;
  pending.add(command);
  show();
  const task = $("task").value.trim(); // what stands there is meant, whether it was set or not
  const told = command === "start" && task && task !== state.recorder.status.task ? await post("/api/task", { task }) : null;
  say(told && told.outcome !== "done" ? told : await post(`/api/command/${command}`));
  pending.delete(command);
  show();
}

async function keep(success) {
  if (pending.has("keep") || !allowed("keep")) return;
  pending.add("keep");
  show();
  const file = state.recorder.status.episode;
  const marked = await post(`/api/episodes/${encodeURIComponent(file)}/mark`, { success, note: $("note").value });
  say(marked.outcome === "done" ? await post("/api/command/keep") : marked);
  pending.delete("keep");
  show();
}

function allowed(command) {
  return connected() && state.allowed.includes(command);
}

// --- stop: always possible, never waits for anything, says when nobody confirmed it ------------------------------------
let stops = 0;
async function stop() {
  const mine = ++stops;
  alarm("STOP requested, waiting for the gateway ...");
  const answer = await post("/api/command/stop", {}, STOP_MS);
  if (mine !== stops) return;
  if (answer.outcome === "done") alarm("STOPPED: confirmed by the gateway.", "done");
  else alarm(`STOP NOT CONFIRMED: press the hardware e-stop. (${answer.message})`, "bad");
}

let clearing = 0, unconfirmed = false;
function alarm(text, kind) {
  clearTimeout(clearing);
  $("alarm").textContent = text;
  $("alarm").className = `alarm ${kind || ""}`;
  unconfirmed = kind === "bad";
  $("alarm").hidden = false;
  if (kind === "done") clearing = setTimeout(() => { $("alarm").hidden = true; }, 5000);
}

// --- buttons and keys ---------------------------------------------------------------------------------------------------
function sure(button) { // asks by itself: a second press within three seconds
  if (button.classList.contains("sure")) return calm(button), true;
  button.dataset.words = button.innerHTML;
  button.textContent = button.dataset.sure;
  button.classList.add("sure");
  setTimeout(() => calm(button), SURE_MS);
  return false;
}
function calm(button) {
  if (!button.classList.contains("sure")) return;
  button.innerHTML = button.dataset.words; // what this page itself wrote there
  button.classList.remove("sure");
}

function press(button) {
  if (button.disabled) return;
  if (button.dataset.sure && !sure(button)) return;
  if (button.dataset.ask) return confirmed(button.dataset.ask, () => ask(button.dataset.command));
  if (button.dataset.keep) return keep(button.dataset.keep === "true");
  ask(button.dataset.command);
}

let whenYes = () => {};
function confirmed(question, action) {
  $("dialog-text").textContent = question;
  whenYes = action;
  $("dialog").show(); // not modal: STOP must stay within reach
  $("dialog-no").focus();
}
$("dialog-no").addEventListener("click", () => $("dialog").close());
$("dialog-yes").addEventListener("click", () => { $("dialog").close(); whenYes(); });
$("stop").addEventListener("click", stop);
for (const button of document.querySelectorAll("[data-command], [data-keep]")) {
  button.addEventListener("click", () => press(button));
}
const KEYS = {
  s: "[data-command=start]", k: "[data-keep=true]", f: "[data-keep=false]", d: "[data-command=discard]", r: "[data-command=again]",
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return stop(); // from anywhere, also while typing
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, dialog")) return;
  if (event.key.toLowerCase() === "x") return stop();
  const button = document.querySelector(KEYS[event.key.toLowerCase()] || "none");
  if (button) press(button);
}, true);
for (const [name, path, values] of [
  ["task", () => "/api/task", (text) => ({ task: text })],
  ["note", () => `/api/episodes/${encodeURIComponent(state.recorder.status.episode)}/mark`, (text) => ({ note: text })],
]) {
  $(`${name}-form`).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!connected() || !state.recorder.status) return;
    $(name).blur();
    say(await post(path(), values($(name).value)));
  });
}
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});
if (localStorage.getItem("theme")) document.documentElement.dataset.theme = localStorage.getItem("theme");

// --- what is shown ---------------------------------------------------------------------------------------------------------
function connected() {
  return state !== null && performance.now() - heard < SILENT_MS;
}

function set(element, text) { // only what changes, so that a reader's voice does not repeat itself
  if (element.textContent !== text) element.textContent = text;
}

function show() {
  const live = connected();
  showMode(live);
  const status = live ? state.recorder.status : null;
  showRecorder(live, status);
  showGauges(live, status);
  showStreams(status);
  for (const button of document.querySelectorAll("[data-command], [data-keep]")) {
    const command = button.dataset.command || "keep";
    button.disabled = !allowed(command) || pending.has(command);
    if (command.startsWith("engage") && live) button.hidden = !state.may_engage;
    if (button.disabled) calm(button);
  }
}

function showMode(live) {
  let mode = "none", word = "NO CONNECTION", reason = "to the console: what is shown is old; use the hardware e-stop";
  if (live && !state.gateway.present) {
    [word, reason] = ["NO GATEWAY", "nothing here can stop the arm: use the hardware e-stop"];
  } else if (live && !WORDS[state.gateway.mode]) {
    [word, reason] = ["GATEWAY", "not configured yet"];
  } else if (live) {
    mode = state.gateway.mode;
    if (unconfirmed && mode === "fault") alarm("STOPPED: the gateway reports a fault.", "done");
    word = WORDS[mode][0];
    reason = state.gateway.reason ? `${WORDS[mode][1]}: ${state.gateway.reason}` : WORDS[mode][1];
  }
  document.body.dataset.mode = mode;
  set($("mode-word"), word);
  set($("mode-reason"), reason);
  $("mode-reason").title = reason;
  document.title = `${word} - session console`;
}

function showRecorder(live, status) {
  $("recorder").dataset.state = status ? status.state : "none";
  set($("recorder-word"), status ? STATES[status.state] : live && state.recorder.present ? "recorder starting" : "no recorder");
  const waits = status && ["waiting", "inactive", "stopped"].includes(status.state);
  set($("recorder-episode"), !status ? "" : waits ? status.message : status.episode);
  set($("elapsed"), status && status.episode ? clock(status.elapsed_s) : "");
  if (status && document.activeElement !== $("task") && $("task").dataset.told !== status.task) {
    $("task").value = $("task").dataset.told = status.task;
  }
  if (status && document.activeElement !== $("note") && $("note").dataset.told !== status.episode + status.note) {
    $("note").dataset.told = status.episode + status.note;
    $("note").value = status.note;
  }
  $("task-form").querySelector("button").disabled = !status;
  for (const element of $("note-form").querySelectorAll("input, button")) element.disabled = !status || !status.episode;
  list($("warnings"), status ? status.warnings : [], (item, text) => set(item, text));
}

function showGauges(live, status) {
  gauge("disk", status && status.free_disk_mb !== null ? size(status.free_disk_mb) : "-",
    !status || status.free_disk_mb === null ? "" : status.free_disk_mb < status.stop_disk_mb ? "error" : status.free_disk_mb < status.start_disk_mb ? "warn" : "");
  const cameras = status ? status.streams.filter((stream) => cameraOf(stream.topic)).length : 0;
  gauge("skew", cameras > 1 ? `${Math.round(1000 * status.camera_skew_s)} ms` : "-",
    status && status.camera_skew_s > status.skew_limit_s ? "warn" : "");
  gauge("lost", status && status.episode ? `${status.lost}` : "-", status && status.lost ? "error" : "");
  const latency = live ? state.gateway.latency_ms : {};
  gauge("latency", latency.p95 ? `${Math.round(latency.p50)} / ${Math.round(latency.p95)} ms` : "-", "");
  $("latency").title = "median / 95% quantile, while a policy drives";
}

function gauge(id, text, kind) {
  $(id).className = kind;
  set($(id).querySelector("dd"), text);
}

function showStreams(status) {
  const rows = status ? status.streams.filter(worthARow) : [];
  list($("streams").tBodies[0], rows, (row, stream) => {
    if (!row.cells.length) {
      const head = row.appendChild(document.createElement("th"));
      head.scope = "row";
      for (let i = 0; i < 4; i++) row.insertCell();
    }
    const [word, kind] = judged(stream);
    set(row.cells[0], cameraOf(stream.topic) ? `camera ${cameraOf(stream.topic)}` : stream.topic);
    row.cells[0].title = stream.topic;
    set(row.cells[1], stream.hz.toFixed(stream.hz < 100 ? 1 : 0));
    set(row.cells[2], stream.age_s === null ? "never" : seconds(stream.age_s));
    set(row.cells[3], stream.gap_s ? seconds(stream.gap_s) : "-");
    set(row.cells[4], word);
    row.cells[4].className = kind;
  });
}

function worthARow(stream) { // what an episode needs, and what else is alive; calibrations come with their pictures
  return stream.required || (stream.age_s !== null && stream.age_s < 5 && !stream.topic.endsWith("/camera_info"));
}

function judged(stream) {
  const silent = stream.age_s === null || stream.age_s > Math.max(stream.limit_s || 1, 0.6);
  if (silent) return stream.required ? ["SILENT", "error"] : ["silent", "quiet"];
  if (stream.frozen) return ["FROZEN", "error"];
  if (stream.lost) return [`lost ${stream.lost}`, "error"];
  if (stream.usual_hz && stream.hz < 0.7 * stream.usual_hz) return ["SLOW", "warn"];
  if (stream.limit_s !== null && stream.gap_s > stream.limit_s) return ["GAP", "warn"];
  if (stream.missing) return [`missing ${stream.missing}`, "warn"];
  return ["ok", "ok"];
}

function showNodes() {
  list($("nodes"), state.nodes, (item, node) => {
    if (!item.children.length) item.append(document.createElement("b"), document.createElement("span"));
    item.className = node.level;
    set(item.children[0], node.name);
    set(item.children[1], node.level === "stale" ? `silent for ${Math.round(node.age_s)} s` : node.message);
    item.title = `${node.level}: ${node.message}`;
  });
}

function list(parent, items, fill) { // as many children as items, reused
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(document.createElement(parent.tagName === "TBODY" ? "tr" : "li"));
  items.forEach((item, i) => fill(parent.children[i], item));
}

const cameraOf = (topic) => (/^\/camera\/([^/]+)\/color\/image_raw$/.exec(topic) || [])[1];
const seconds = (s) => (s < 1 ? `${Math.round(1000 * s)} ms` : `${s.toFixed(1)} s`);
const size = (mb) => (mb < 10000 ? `${Math.round(mb)} MB` : `${(mb / 1000).toFixed(0)} GB`);
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

// --- live ------------------------------------------------------------------------------------------------------------------
const address = (path) => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;

function listen() {
  const socket = new WebSocket(address("/live"));
  socket.onmessage = (event) => {
    state = JSON.parse(event.data);
    heard = performance.now();
    show();
    showNodes();
    arrangeCameras(state.cameras);
    const status = state.recorder.status;
    const version = status ? `${status.folder} ${status.kept} ${status.marks}` : "";
    if (version && version !== shelf.version) { shelf.version = version; loadEpisodes(); }
    set($("where"), `ROS domain ${state.domain}${state.simulated ? ", simulated arm" : ""} · ${state.viewers} viewer${state.viewers === 1 ? "" : "s"}${status ? ` · ${status.folder}` : ""}`);
  };
  socket.onclose = () => setTimeout(listen, 1000);
}
setInterval(() => { if (!connected()) show(); }, 500);

const cameras = new Map(); // by name

function arrangeCameras(names) {
  for (const [name, camera] of cameras) {
    if (!names.includes(name)) { camera.close(); cameras.delete(name); }
  }
  for (const name of names) if (!cameras.has(name)) cameras.set(name, openCamera(name));
}

function openCamera(name) {
  const figure = document.createElement("figure");
  figure.className = "camera";
  figure.dataset.camera = name;
  const picture = figure.appendChild(document.createElement("img"));
  picture.alt = `live picture of camera ${name}`;
  const veil = figure.appendChild(document.createElement("div"));
  veil.className = "veil first";
  veil.textContent = "waiting for the first picture";
  const caption = figure.appendChild(document.createElement("figcaption"));
  const rate = document.createElement("span");
  caption.append(name, rate);
  $("cameras").append(figure);
  let socket = null, ended = false, shown = [], url = "";
  const aging = setInterval(() => { // a picture that stands still must not pass for a live one
    if (shown.length && performance.now() - shown[shown.length - 1] < OLD_MS) return;
    if (!connected()) veil.textContent = "no connection";
    else if (veil.hidden) veil.textContent = "no new picture";
    veil.hidden = false;
  }, 500);

  function connect() {
    if (ended || document.hidden || socket) return;
    socket = new WebSocket(address(`/camera/${encodeURIComponent(name)}`));
    socket.binaryType = "blob";
    socket.onopen = () => socket.send("next");
    socket.onclose = () => { socket = null; setTimeout(connect, 1000); };
    socket.onmessage = (event) => {
      const mine = socket;
      const next = () => { if (mine === socket && mine && mine.readyState === 1) mine.send("next"); };
      if (typeof event.data === "string") {
        veil.textContent = event.data;
        veil.hidden = false;
        return setTimeout(next, 300);
      }
      const old = url;
      url = URL.createObjectURL(event.data);
      picture.onload = picture.onerror = () => {
        if (old) URL.revokeObjectURL(old);
        const now = performance.now();
        shown = [...shown.filter((time) => now - time < 3000), now];
        const hz = shown.length > 1 ? (shown.length - 1) / (now - shown[0]) * 1000 : 0;
        set(rate, `shown at ${hz.toFixed(0)} Hz`);
        veil.hidden = true;
        veil.className = "veil";
        next(); // only now: what cannot be shown in time is never sent
      };
      picture.src = url;
    };
  }
  const onVisible = () => { if (document.hidden && socket) socket.close(); else connect(); };
  document.addEventListener("visibilitychange", onVisible);
  connect();
  return {
    close() {
      ended = true;
      clearInterval(aging);
      document.removeEventListener("visibilitychange", onVisible);
      if (socket) socket.close();
      if (url) URL.revokeObjectURL(url);
      figure.remove();
    },
  };
}

// --- episodes --------------------------------------------------------------------------------------------------------------
const shelf = { version: "", shown: PAGE };

async function loadEpisodes() {
  let page;
  try {
    const response = await fetch(`/api/episodes?from=0&count=${shelf.shown}`);
    if (!response.ok) return set($("tally"), await response.text());
    page = await response.json();
  } catch { return set($("tally"), "the console did not answer"); }
  set($("tally"), `${page.total} kept, ${page.successes} success${page.successes === 1 ? "" : "es"}${page.flagged ? `, ${page.flagged} flagged` : ""}`);
  $("more").hidden = page.episodes.length >= page.total;
  list($("episodes"), page.episodes, fillEpisode);
}
$("more").addEventListener("click", () => { shelf.shown = Math.min(shelf.shown + PAGE, 200); loadEpisodes(); });

function fillEpisode(item, entry) {
  const name = entry.file.replace(/\.mcap$/, "");
  if (!item.children.length) {
    item.innerHTML = '<div class="ends"><img loading="lazy"><img loading="lazy"></div><div class="title"><b></b><span></span></div>' +
      '<p></p><p class="flags"></p><div class="marks" role="group"><button type="button" class="yes">success</button><button type="button" class="no">failure</button></div>';
  }
  item.className = `episode ${entry.success === true ? "success" : entry.success === false ? "failure" : ""}`;
  item.dataset.file = entry.file;
  const [first, last] = item.querySelectorAll("img");
  for (const [image, which] of [[first, "first"], [last, "last"]]) {
    const source = `/api/episodes/${encodeURIComponent(entry.file)}/${which}.jpg?sha=${entry.sha256.slice(0, 12)}`;
    if (image.getAttribute("src") !== source) image.src = source;
    image.alt = `${which} picture of ${name}`;
  }
  set(item.querySelector("b"), name.replace(/^episode_0*/, "#"));
  set(item.querySelector(".title span"), `${entry.duration_s.toFixed(1)} s · ${entry.frames} frames`);
  const [about, flags] = item.querySelectorAll("p");
  set(about, [entry.task, entry.note].filter(Boolean).join(" · "));
  set(flags, entry.flags.join("; "));
  for (const [button, success] of [[item.querySelector(".yes"), true], [item.querySelector(".no"), false]]) {
    button.setAttribute("aria-pressed", String(entry.success === success));
    button.setAttribute("aria-label", `mark ${name} as a ${success ? "success" : "failure"}`);
    button.onclick = async () => say(await post(`/api/episodes/${encodeURIComponent(entry.file)}/mark`, { success }));
  }
}

listen();
show();
