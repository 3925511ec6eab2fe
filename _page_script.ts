// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { UNSAFE } from "./_escape_text.ts";
import { GRID } from "./_page_grid.ts";
import { ROWS } from "./_page_rows.ts";

/** What the page knows, and what the server sends. */
const STATE = String.raw`
"use strict";
/** Up to so many workers have a row each with a trace of their own; more are cells. */
const MAX_ROWS = 60;
/** How fast a trace moves, in CSS pixels per millisecond. */
const SPEED = 0.04;
/** The shape of a pulse: milliseconds after the beat, and height from -1 to 1. */
const PULSE = [[0, 0], [60, -0.12], [110, 0.95], [170, -0.45], [230, 0], [380, 0.2], [520, 0]];
/** A cell fades in so many steps of so many milliseconds. */
const FADE_STEPS = 6, FADE_STEP = 120;
/** How many events the log shows, and rows the table behind the cells. */
const MAX_LOG = 200, MAX_HIDDEN_ROWS = 100;
/** How long (ms) no frame may come before the connection counts as lost. */
const LOST_AFTER = 2000;
/** What is shown as an escape, in the same way as in the answers to probes. */
const UNSAFE = ${UNSAFE};
const ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const ORDER = { down: 0, expected: 1, up: 2, left: 3 };

const $ = (id) => document.getElementById(id);
const base = location.pathname.replace(/\/$/, "");
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
/** name -> { name, label, state, lastSeen, seq, detail, beats: [times], row?, index? } */
const workers = new Map();
let frameAt = -Infinity, skew = 0, total = 0, blindness = null, isConnected = false;
let query = "", shown = [], selected = 0, isLayoutStale = true;
const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const probe = document.createElement("i");
  document.body.append(probe);
  for (const name of ["up", "down", "expected", "left", "line", "text", "faint"]) {
    probe.style.color = "var(--" + name + ")";
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

/** A name may hide behind another one by invisible characters, and by some that turn the text around. */
function escapeText(text) {
  return text.replace(UNSAFE, (character) => character.replace(/[^]/g, (unit) =>
    ESCAPES[unit] ?? "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")
  ));
}

function onFrame(frame) {
  const now = performance.now();
  skew = frame.time - Date.now();
  frameAt = now;
  total = frame.total;
  blindness = frame.blind;
  if (frame.full) markMissing(frame.workers);
  for (const row of frame.workers) takeRow(row, now, frame.full);
  for (const name of frame.gone) removeWorker(name);
}

function markMissing(rows) {
  const names = new Set(rows.map(([name]) => name));
  for (const name of workers.keys()) if (!names.has(name)) removeWorker(name);
}

function removeWorker(name) {
  const worker = workers.get(name);
  if (!worker) return;
  worker.row?.element.remove();
  workers.delete(name);
  isLayoutStale = true;
}

function takeRow([name, state, lastSeen, seq, detail], now, isFull) {
  let worker = workers.get(name);
  if (!worker) {
    worker = { name, label: escapeText(name), beats: [] };
    workers.set(name, worker);
    isLayoutStale = true;
  } else if (!isFull && (worker.lastSeen !== lastSeen || worker.seq !== seq)) {
    worker.beats.push(now);
    if (worker.beats.length > 60) worker.beats.shift();
  }
  if (worker.state !== state) isLayoutStale = true;
  Object.assign(worker, { state, lastSeen, seq, detail, isChanged: true });
}

function logEvent(type, data) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  const label = document.createElement("b");
  item.className = type;
  time.textContent = new Date(data.time ?? Date.now()).toLocaleTimeString();
  label.textContent = type;
  const outage = data.outage === undefined ? "" : " after " + seconds(data.outage);
  const why = data.reason === "failed" ? " (failed)" : "";
  const name = document.createElement("bdi");
  name.textContent = escapeText(data.worker ?? "");
  item.append(time, label, " ", name, outage + why);
  $("log").prepend(item);
  while ($("log").childElementCount > MAX_LOG) $("log").lastElementChild.remove();
}

function connect() {
  const beats = new EventSource(base + "/beats");
  beats.onopen = () => isConnected = true;
  beats.onerror = () => isConnected = false;
  beats.addEventListener("frame", ({ data }) => onFrame(JSON.parse(data)));
  const events = new EventSource(base + "/events?recent");
  for (const type of ["up", "down", "recovered", "left", "forgotten", "refused", "blind", "sees"]) {
    events.addEventListener(type, ({ data }) => logEvent(type, JSON.parse(data)));
  }
}
`;

/** The status, the loop that draws, and what the user does. */
const WHOLE = String.raw`
function showStatus(now) {
  const isLost = !isConnected || now - frameAt > LOST_AFTER;
  const state = isLost ? "lost" : blindness ? "blind" : "live";
  const texts = {
    lost: "connection lost",
    blind: blindness === "share"
      ? "too many are silent at once: nobody is reported"
      : "connection lost: no heartbeat can be heard",
    live: "live",
  };
  setText($("status"), texts[state]);
  if ($("status").dataset.state !== state) {
    $("status").dataset.state = state;
    document.body.classList.toggle("blind", state !== "live");
  }
  const counts = { up: 0, down: 0, expected: 0, left: 0 };
  for (const { state } of workers.values()) counts[state]++;
  const more = total > workers.size ? ", " + (total - workers.size) + " not shown" : "";
  setText($("summary"), counts.up + " up, " + counts.down + " down, " +
    counts.expected + " expected" + (counts.left ? ", " + counts.left + " left" : "") + more);
  document.title = (counts.down ? counts.down + " down · " : "") + "heartbeat";
}

let textsAt = -Infinity, drawnAt = -Infinity;

function draw(now) {
  requestAnimationFrame(draw);
  if (reducedMotion.matches && now - drawnAt < 500) return;
  drawnAt = now;
  if (isLayoutStale && now - textsAt > 250) layOut();
  // what cannot be heard stays as it was
  const isStill = $("status").dataset.state === "lost" || blindness === "connection";
  if (!$("cells").hidden) drawGrid(now);
  else {
    for (const worker of shown) {
      const { row } = worker;
      if (!row?.canvas || (isStill && row.isDrawn)) continue;
      drawTrace(worker, now);
      row.isDrawn = true;
    }
  }
  if (now - textsAt < 250) return;
  textsAt = now;
  showStatus(now);
  for (const worker of shown) if (worker.row?.element.isConnected) updateRow(worker);
  if (!$("cells").hidden) describeSelected();
}

function toggleTheme() {
  const root = document.documentElement;
  const isDark = getComputedStyle(root).colorScheme === "dark" ||
    (root.style.colorScheme === "" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.style.colorScheme = isDark ? "light" : "dark";
  readColours();
  isLayoutStale = true;
}

$("search").addEventListener("input", ({ target }) => {
  query = target.value.toLowerCase();
  isLayoutStale = true;
});
$("theme").addEventListener("click", toggleTheme);
$("grid").addEventListener("keydown", onGridKey);
$("grid").addEventListener("pointerdown", onGridPointer);
addEventListener("resize", () => isLayoutStale = true);
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target === $("search")) return;
  event.preventDefault();
  $("search").focus();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
readColours();
connect();
requestAnimationFrame(draw);
`;

/**
 * The script of the live page, as it is sent to the browser. It is text here, so
 * that the page needs no build step and no other file. Nothing from the network
 * is ever parsed as HTML: names and details are set as text.
 */
export const SCRIPT = STATE + ROWS + GRID + WHOLE;
