// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The script of the live page: a cell for each worker, if they are many. */
export const GRID = String.raw`
let columns = 1, size = 12;
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
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = height + "px";
  shown.forEach((worker, index) => Object.assign(worker, { index, isChanged: true }));
  if (!shown.includes(chosen)) chosen = null;
  describeChosen();
}

/** A cell is bright at a beat and fades in steps; only cells that change are drawn. */
function drawGrid(now) {
  const context = $("grid").getContext("2d");
  const scale = devicePixelRatio || 1;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  const isCalm = reducedMotion.matches;
  for (const worker of shown) {
    const age = now - (worker.beats.at(-1) ?? -Infinity);
    const step = isCalm ? 0 : Math.min(Math.floor(age / FADE_STEP), FADE_STEPS);
    if (!worker.isChanged && worker.step === step) continue;
    worker.isChanged = false;
    worker.step = step;
    drawCell(context, worker);
  }
}

function drawCell(context, { state, step, index }) {
  const inner = size > 4 ? size - 1 : size;
  const x = index % columns * size, y = Math.floor(index / columns) * size;
  context.clearRect(x, y, size, size);
  context.globalAlpha = state === "up" ? 1 - 0.55 * step / FADE_STEPS : 1;
  context.fillStyle = colours[state];
  context.fillRect(x, y, inner, inner);
  context.globalAlpha = 1;
}

function choose(index) {
  chosen = shown[Math.max(0, Math.min(index, shown.length - 1))] ?? null;
  describeChosen();
  if (chosen) announce($("cell").textContent);
}

/** The line below the cells, and the mark around one of them. */
function describeChosen() {
  const worker = chosen ?? shown[0];
  setText($("cell-name"), worker.label);
  setText($("cell-text"), ": " + worker.state + ", last beat: " + since(worker) +
    (worker.detail ? ", " + escapeText(worker.detail) : ""));
  $("mark").hidden = !chosen && document.activeElement !== $("grid");
  Object.assign($("mark").style, {
    left: worker.index % columns * size + "px",
    top: Math.floor(worker.index / columns) * size + "px",
    width: size + "px",
    height: size + "px",
  });
}

function onGridKey(event) {
  const index = (chosen ?? shown[0]).index;
  const target = {
    ...{ ArrowLeft: index - 1, ArrowRight: index + 1 },
    ...{ ArrowUp: index - columns, ArrowDown: index + columns },
    ...{ Home: 0, End: shown.length - 1 },
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
