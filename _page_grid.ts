// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The script of the live page: a cell for each worker, if they are many. */
export const GRID = String.raw`
let columns = 1, size = 12;

function sizeGrid() {
  const canvas = $("grid");
  const width = canvas.parentElement.clientWidth;
  const room = Math.max(innerHeight - 260, 240);
  size = Math.max(Math.min(Math.floor(Math.sqrt(width * room / shown.length)), 36), 4);
  columns = Math.max(Math.floor(width / size), 1);
  const height = Math.ceil(shown.length / columns) * size;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = height + "px";
  shown.forEach((worker, index) => Object.assign(worker, { index, isChanged: true }));
  selected = Math.min(selected, shown.length - 1);
  describeSelected();
}

/** A cell is bright at a beat and fades in steps; only cells that change are drawn. */
function drawGrid(now) {
  const context = $("grid").getContext("2d");
  const scale = devicePixelRatio || 1;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  for (const worker of shown) {
    const age = now - (worker.beats.at(-1) ?? -Infinity);
    const step = Math.min(Math.floor(age / FADE_STEP), FADE_STEPS);
    if (!worker.isChanged && worker.step === step) continue;
    worker.isChanged = false;
    worker.step = step;
    drawCell(context, worker);
  }
}

function drawCell(context, { state, step, index }) {
  const inner = size > 6 ? size - 1 : size;
  const x = index % columns * size, y = Math.floor(index / columns) * size;
  context.clearRect(x, y, size, size);
  context.globalAlpha = state === "up" ? 1 - 0.55 * step / FADE_STEPS : 1;
  context.fillStyle = colours[state];
  context.fillRect(x, y, inner, inner);
  context.globalAlpha = 1;
  if (index !== selected) return;
  context.strokeStyle = colours.text;
  context.lineWidth = 2;
  context.strokeRect(x + 1, y + 1, inner - 2, inner - 2);
}

function select(index) {
  if (shown.length === 0) return;
  shown[selected] && (shown[selected].isChanged = true);
  selected = Math.max(0, Math.min(index, shown.length - 1));
  shown[selected].isChanged = true;
  describeSelected();
}

function describeSelected() {
  const worker = shown[selected];
  setText($("cell"), worker
    ? worker.label + ": " + worker.state + ", last beat: " + since(worker) +
      (worker.detail ? ", " + escapeText(worker.detail) : "")
    : "");
}

function onGridKey(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  select(selected + step);
}

function onGridPointer(event) {
  const box = $("grid").getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left) / size);
  select(Math.floor((event.clientY - box.top) / size) * columns + column);
}
`;
