// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The script of the live page: what the server sends, and whether it can be heard. */
export const LINK = String.raw`
/** How long (ms) no frame may come before the connection counts as lost. */
const LOST_AFTER = 2000;
/** How many heartbeats of a worker are drawn of a frame. */
const MAX_BEATS_A_FRAME = 10;
/** How long (ms) to wait before a stream that was refused is asked for again. */
const RETRY_AFTER = 2000;

/** What the log says of a reason; silence needs no words. */
const REASONS = {
  failed: " (failed)",
  full: ": the fleet is full",
  name: ": not a valid name",
  timeout: ": no valid timeout",
  connection: "no heartbeat can be heard",
  share: "too many are silent at once",
};

/** "connecting", "live" or "lost"; "paused" while nobody looks at the page. */
let link = "paused";
/** When the last frame came, and the last one that the fleet was looked at for; what time it was for the server. */
let frameAt = 0, lookedAt = 0, frameTime = 0;
/** Since when, and until when, heartbeats could be heard. */
let heardSince = 0, heardUntil = 0;
/** Where the frames come from; it is closed while nobody looks. */
let stream;
/** The number of the last event in the log, by the start of its server. */
const logged = new Map();

/** A browser has six connections to a server, for all its tabs: only those that are seen use some. */
function onVisibility() {
  if (document.hidden) pause();
  else if (link === "paused") connect();
}

/** After an error in between, a browser comes back by itself; after a refusal, such as a proxy's 502, it never does. */
function connect() {
  link = "connecting";
  frameAt = performance.now();
  const opened = stream = new EventSource(base + "/beats");
  stream.addEventListener("frame", ({ data }) => onFrame(JSON.parse(data)));
  stream.addEventListener("error", () => {
    link = "lost";
    if (opened.readyState !== EventSource.CLOSED) return;
    setTimeout(() => stream === opened && link !== "paused" && connect(), RETRY_AFTER);
  });
}

function pause() {
  stream?.close();
  link = "paused";
  document.title = "heartbeat (paused)";
}

/** The first frame has events that may be in the log already. */
function isNews(id) {
  const [epoch, number] = id.split("-");
  if (Number(number) <= logged.get(epoch)) return false;
  logged.set(epoch, Number(number));
  return true;
}

/** Whether the server hears heartbeats; a fleet that has ended hears none. */
function canHear() {
  return blindness === null || blindness === "share";
}

function onFrame(frame) {
  const now = performance.now();
  const passed = now - lookedAt;
  const couldHear = link !== "lost" && canHear();
  link = "live";
  frameAt = now;
  if (frame.fresh) lookedAt = now;
  frameTime = frame.time;
  total = frame.total;
  blindness = frame.blind;
  if (canHear()) {
    heardUntil = now;
    if (frame.full || !couldHear) heardSince = now;
  }
  if (frame.full) markMissing(frame.workers);
  for (const row of frame.workers) takeRow(row, frame.full, passed);
  for (const name of frame.gone) removeWorker(name);
  for (const { id, type, data } of frame.events) if (isNews(id)) logEvent(type, JSON.parse(data));
}

function markMissing(rows) {
  const names = new Set(rows.map(([name]) => name));
  for (const name of workers.keys()) if (!names.has(name)) removeWorker(name);
}

function removeWorker(name) {
  const worker = workers.get(name);
  if (!worker) return;
  workers.delete(name);
  isLayoutStale = isOrderStale = true;
}

/** The last heartbeat is as old as the server says, but not older than the look before; others come evenly before it. */
function addBeats({ beats, seq: before }, { seq, lastSeen, passed }) {
  const count = Math.min(Math.max(before && seq ? seq - before : 1, 1), MAX_BEATS_A_FRAME);
  const last = frameAt - Math.min(Math.max(frameTime - lastSeen, 0), passed);
  const gap = Math.min(last - (beats.at(-1) ?? -Infinity), passed) / count;
  for (let i = count - 1; i >= 0; i--) beats.push(last - i * gap);
  beats.splice(0, beats.length - MAX_BEATS);
}

function takeRow([name, state, lastSeen, seq, detail], isFull, passed) {
  let worker = workers.get(name);
  if (!worker) {
    worker = { name, label: escapeText(name), lastSeen: null, beats: [] };
    workers.set(name, worker);
    ordered.push(worker);
    isLayoutStale = isOrderStale = true;
  }
  const isBeat = lastSeen !== null && (worker.lastSeen !== lastSeen || worker.seq !== seq);
  if (isBeat && !isFull) addBeats(worker, { seq, lastSeen, passed });
  if (worker.state !== state) isLayoutStale = true;
  Object.assign(worker, { state, lastSeen, seq, detail });
}

function logEvent(type, data) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const label = document.createElement("b");
  const text = document.createElement("span");
  const name = document.createElement("bdi");
  item.className = type;
  time.textContent = new Date(data.time ?? Date.now()).toLocaleTimeString();
  label.textContent = type;
  name.textContent = escapeText(data.worker ?? "");
  const outage = data.outage === undefined ? "" : " after " + seconds(data.outage);
  const why = REASONS[data.reason] ?? "";
  text.append(name, outage + why);
  text.title = text.textContent;
  item.append(time, label, text);
  $("log").prepend(item);
  while ($("log").childElementCount > MAX_LOG) $("log").lastElementChild.remove();
}
`;
