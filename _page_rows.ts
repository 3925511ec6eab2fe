// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** The script of the live page: a row with a trace for each worker, if they are few. */
export const ROWS = String.raw`
function seconds(ms) {
  return ms < 10000 ? (ms / 1000).toFixed(1) + " s" : Math.round(ms / 1000) + " s";
}

/** By the clock of the server alone; this one only counts what has passed since the last frame. */
function since(worker) {
  if (worker.lastSeen === null) return "never";
  const now = frameTime + performance.now() - frameAt;
  return seconds(Math.max(now - worker.lastSeen, 0)) + " ago";
}

/** The workers that match the search, the worst first. */
function selectShown() {
  const list = [...workers.values()].filter(({ label }) => label.toLowerCase().includes(query));
  return list.sort((a, b) =>
    ORDER[a.state] - ORDER[b.state] || a.label.localeCompare(b.label, undefined, { numeric: true })
  );
}

function layOut() {
  isLayoutStale = false;
  shown = selectShown();
  const asRows = shown.length <= MAX_ROWS;
  $("rows").hidden = !asRows && shown.length > 0;
  $("cells").hidden = asRows;
  const rows = asRows ? shown : shown.slice(0, MAX_HIDDEN_ROWS);
  const body = asRows ? $("workers") : $("hidden-workers");
  body.replaceChildren(...rows.map((worker) => createRow(worker, asRows)));
  (asRows ? $("hidden-workers") : $("workers")).replaceChildren();
  if (!asRows) sizeGrid();
}

function createRow(worker, hasTrace) {
  const element = document.createElement("tr");
  const cell = (name, text) => {
    const cell = document.createElement(name === "name" ? "th" : "td");
    if (name === "name") cell.scope = "row";
    cell.className = name;
    cell.textContent = text;
    element.append(cell);
    return cell;
  };
  const row = { element, name: cell("name", worker.label) };
  row.name.title = worker.label;
  if (hasTrace) {
    row.canvas = document.createElement("canvas");
    row.canvas.setAttribute("aria-hidden", "true");
    cell("trace", "").append(row.canvas);
  }
  row.state = cell("state", "");
  row.since = cell("since", "");
  row.detail = cell("detail", "");
  worker.row = row;
  worker.isChanged = true;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function updateRow(worker) {
  const { row } = worker;
  row.element.className = worker.state;
  setText(row.state, worker.state);
  setText(row.since, since(worker));
  setText(row.detail, escapeText(worker.detail ?? ""));
}

/** What cannot be heard stays as it was. */
function drawTraces(now) {
  const isDeaf = link !== "live" || blindness === "connection";
  const at = isDeaf ? heardUntil : now;
  for (const worker of shown) {
    if (worker.row.drawnAt === at) continue;
    worker.row.drawnAt = at;
    drawTrace(worker, at);
  }
}

function drawTrace(worker, now) {
  const { canvas } = worker.row;
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (width === 0) return;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.beginPath();
  const toX = (at) => width - (now - TRACE_DELAY - at) * SPEED;
  // a flat line is silence, so there is none for the time in which nobody listened
  const since = worker.state === "down" ? -Infinity : heardSince;
  const beats = worker.beats.filter((beat) => beat >= since && toX(beat) > -40);
  context.moveTo(Math.max(toX(since), 0), height / 2);
  for (const [i, beat] of beats.entries()) {
    const end = Math.min(now - TRACE_DELAY, beats[i + 1] ?? Infinity);
    for (const [ms, level] of PULSE) {
      if (beat + ms > end) break;
      context.lineTo(toX(beat + ms), height / 2 - level * (height / 2 - 3));
    }
  }
  context.lineTo(width, height / 2);
  context.strokeStyle = colours[worker.state];
  context.lineWidth = 1.6;
  context.lineJoin = "round";
  context.stroke();
}
`;
