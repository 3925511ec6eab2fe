// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The script of the live page: a cell for each worker, if they are many. */
export const GRID = String.raw`
let columns = 1, size = 12;
/** What each cell shows, and for which canvas. */
let drawn = [], drawnFor = "";
/** The worker that was chosen; otherwise it is the worst one. */
let chosen = null;

/** All cells fit on the screen, if it is not very small. */
function sizeGrid() {
  const canvas = $("grid");
  const width = canvas.parentElement.clientWidth;
  const top = canvas.getBoundingClientRect().top + scrollY;
  const room = Math.max(innerHeight - top - 60, 160);
  size = Math.max(Math.min(Math.floor(Math.sqrt(width * room / shown.length)), 36), 3);
  columns = Math.max(Math.floor(width / size), 1);
  const height = Math.ceil(shown.length / columns) * size;
  const scale = devicePixelRatio || 1;
  if (!shown.includes(chosen)) chosen = null;
  describeChosen();
  const key = [width, height, scale, size, shown.length].join();
  if (drawnFor === key) return;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = height + "px";
  [drawn, drawnFor] = [[], key];
}

/** A cell is bright at a beat and fades in steps; only cells that change are drawn. */
function drawGrid(now) {
  const context = $("grid").getContext("2d");
  const scale = devicePixelRatio || 1;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  const isCalm = reducedMotion.matches;
  for (const [index, { state, beats }] of shown.entries()) {
    const age = now - (beats.at(-1) ?? -Infinity);
    const step = isCalm ? 0 : Math.min(Math.floor(age / FADE_STEP), FADE_STEPS);
    const look = state === "up" ? step : state;
    if (drawn[index] === look) continue;
    drawn[index] = look;
    context.globalAlpha = state === "up" ? 1 - 0.55 * step / FADE_STEPS : 1;
    context.fillStyle = colours[state];
    drawCell(context, index);
  }
}

function drawCell(context, index) {
  const inner = size > 4 ? size - 1 : size;
  const x = index % columns * size, y = Math.floor(index / columns) * size;
  context.clearRect(x, y, size, size);
  context.fillRect(x, y, inner, inner);
}

function choose(index) {
  chosen = shown[Math.max(0, Math.min(index, shown.length - 1))] ?? null;
  describeChosen();
  if (chosen) announce($("cell").textContent);
}

/** The line below the cells, and the mark around one of them. */
function describeChosen() {
  const worker = chosen ?? shown[0];
  const index = shown.indexOf(worker);
  setText($("cell-name"), worker.label);
  setText($("cell-text"), ": " + worker.state + ", last beat: " + since(worker) +
    (worker.detail ? ", " + escapeText(worker.detail) : ""));
  $("mark").hidden = !chosen && document.activeElement !== $("grid");
  Object.assign($("mark").style, {
    left: index % columns * size + "px",
    top: Math.floor(index / columns) * size + "px",
    width: size + "px",
    height: size + "px",
  });
}

function onGridKey(event) {
  const index = shown.indexOf(chosen ?? shown[0]);
  const target = {
    ArrowLeft: index - 1,
    ArrowRight: index + 1,
    ArrowUp: index - columns,
    ArrowDown: index + columns,
    Home: 0,
    End: shown.length - 1,
  }[event.key];
  if (event.key === "Escape") chosen = null;
  if (target === undefined) return describeChosen();
  event.preventDefault();
  choose(target);
}

function onGridPointer(event) {
  const box = $("grid").getBoundingClientRect();
  const column = Math.min(Math.floor((event.clientX - box.left) / size), columns - 1);
  choose(Math.floor((event.clientY - box.top) / size) * columns + column);
}
`;
