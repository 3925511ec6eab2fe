// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { UNSAFE } from "./_escape_text.ts";
import { GRID } from "./_page_grid.ts";
import { LINK } from "./_page_link.ts";
import { ROWS } from "./_page_rows.ts";

/** What the page knows. */
const STATE = String.raw`
"use strict";
/** Up to so many workers have a row each with a trace of their own; more are cells. */
const MAX_ROWS = 60;
/** How fast a trace moves, in CSS pixels per millisecond. */
const SPEED = 0.04;
/** How late (ms) a trace is: a beat is heard of with the next frame only. */
const TRACE_DELAY = 300;
/** The shape of a pulse: milliseconds after the beat, and height from -1 to 1. */
const PULSE = [[0, 0], [60, -0.12], [110, 0.95], [170, -0.45], [230, 0], [380, 0.2], [520, 0]];
/** A cell fades in so many steps of so many milliseconds. */
const FADE_STEPS = 6, FADE_STEP = 120;
/** How many events the log shows, rows are above the cells, and in the table behind them. */
const MAX_LOG = 200, MAX_WORST = 3, MAX_HIDDEN_ROWS = 100;
/** How often (ms) texts change, pictures do for who wants less motion, and stalls are read out, at most. */
const TEXT_MS = 250, CALM_MS = 1000, ANNOUNCE_MS = 3000;
/** How many heartbeats of a worker are kept for its trace. */
const MAX_BEATS = 100;
/** What is shown as an escape, in the same way as in the answers to probes. */
const UNSAFE = ${UNSAFE};
const ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const { compare } = new Intl.Collator(undefined, { numeric: true });
/** The states, the worst first. */
const STATES = ["down", "expected", "up", "left"];

const $ = (id) => document.getElementById(id);
const base = location.pathname.replace(/\/$/, "");
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
/** name -> { name, label, state, lastSeen, seq, detail, beats: [times], row? } */
const workers = new Map();
let total = 0, blindness = null;
/** All workers by name, perhaps with some that have gone. */
let ordered = [], isOrderStale = false;
/** The workers that match the search, and those of them that have a row. */
let shown = [], listed = [];
let query = "", isLayoutStale = true;
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
  drawnFor = "";
  isLayoutStale = true;
}

/** A name may hide behind another one by invisible characters, and by some that turn the text around. */
function escapeText(text) {
  return text.replace(UNSAFE, (character) => character.replace(/[^]/g, (unit) =>
    ESCAPES[unit] ?? "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0")
  ));
}
`;

/** The status, the loop that draws, and what the user does. */
const WHOLE = String.raw`
/** What the status says. */
const LINKS = { connecting: "connecting", lost: "connection lost", live: "live" };
const BLINDNESS = {
  share: "too many are silent at once: nobody is reported",
  connection: "connection lost: no heartbeat can be heard",
  ended: "the fleet has ended: nobody is watched any more",
};

function showStatus(now) {
  if (link === "paused") return;
  if (now - frameAt > LOST_AFTER) link = "lost";
  // the server ends each connection then
  const isBlind = blindness === "ended" || (link === "live" && blindness);
  const state = isBlind ? "blind" : link;
  setText($("status"), isBlind ? BLINDNESS[blindness] : LINKS[link]);
  if ($("status").dataset.state !== state) {
    $("status").dataset.state = state;
    document.body.classList.toggle("blind", state !== "live");
    isLayoutStale = true; // the text may take a line more
  }
  const counts = { up: 0, down: 0, expected: 0, left: 0 };
  for (const { state } of workers.values()) counts[state]++;
  const more = total > workers.size ? ", " + (total - workers.size) + " not shown" : "";
  // what cannot be heard may be up or down
  const known = state === "lost" || !canHear() ? "last known: " : "";
  setText($("summary"), known + counts.up + " up, " + counts.down + " down, " +
    counts.expected + " expected" + (counts.left ? ", " + counts.left + " left" : "") + more);
  document.title = (counts.down ? counts.down + " down · " : "") + "heartbeat";
}

let textsAt = -Infinity, drawnAt = -Infinity, announcedAt = -Infinity, announcedStalls = "";

/** For a screen reader. */
function announce(text) {
  setText($("announcer"), text);
}

/** Who is down is read out when that changes, but not more often than one can listen. */
function announceStalls(now) {
  if (now - announcedAt < ANNOUNCE_MS) return;
  const down = [...workers.values()].filter(({ state }) => state === "down");
  const names = down.slice(0, MAX_WORST).map(({ label }) => label).join(", ");
  const more = down.length > MAX_WORST ? " and " + (down.length - MAX_WORST) + " more" : "";
  if (announcedStalls === names + more) return;
  announcedStalls = names + more;
  announcedAt = now;
  announce(names ? "Down: " + names + more : "Nobody is down any more");
}

function draw(now) {
  requestAnimationFrame(draw);
  const areTextsDue = now - textsAt >= TEXT_MS;
  if (isLayoutStale && areTextsDue) layOut();
  if (!reducedMotion.matches || now - drawnAt > CALM_MS) {
    drawnAt = now;
    if (!$("cells").hidden) drawGrid(now);
    drawTraces(now);
  }
  if (!areTextsDue) return;
  textsAt = now;
  showStatus(now);
  announceStalls(now);
  for (const worker of listed) updateRow(worker);
  if (!$("cells").hidden) describeChosen();
}

function toggleTheme() {
  const root = document.documentElement;
  const isDark = getComputedStyle(root).colorScheme === "dark" ||
    (root.style.colorScheme === "" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.style.colorScheme = isDark ? "light" : "dark";
  readColours();
}

function search(text) {
  $("search").value = text;
  query = text.toLowerCase();
  isLayoutStale = true;
}

$("search").addEventListener("input", ({ target }) => search(target.value));
$("theme").addEventListener("click", toggleTheme);
$("grid").addEventListener("keydown", onGridKey);
$("grid").addEventListener("pointerdown", onGridPointer);
for (const type of ["focus", "blur"]) $("grid").addEventListener(type, describeChosen);
addEventListener("beforeprint", () => drawTraces(performance.now(), true));
addEventListener("resize", () => isLayoutStale = true);
addEventListener("keydown", (event) => {
  if (event.target === $("search")) {
    if (event.key === "Escape") search("");
  } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $("search").focus();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
document.addEventListener("visibilitychange", onVisibility);
readColours();
onVisibility();
requestAnimationFrame(draw);
`;

/**
 * The script of the live page, as it is sent to the browser. It is text here, so
 * that the page needs no build step and no other file. Nothing from the network
 * is ever parsed as HTML: names and details are set as text.
 */
export const SCRIPT = STATE + LINK + ROWS + GRID + WHOLE;
