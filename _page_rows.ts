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
  // sorted again only if somebody came or left, as 10,000 names take long
  if (isOrderStale) {
    ordered = ordered.filter((worker) => workers.get(worker.name) === worker)
      .sort((a, b) => compare(a.label, b.label));
    isOrderStale = false;
  }
  const found = ordered.filter(({ label }) => label.toLowerCase().includes(query));
  return STATES.flatMap((state) => found.filter((worker) => worker.state === state));
}

/** Few workers have a row with a trace each; of many, only the worst have, and all are cells. */
function layOut() {
  isLayoutStale = false;
  shown = selectShown();
  const areCells = shown.length > MAX_ROWS;
  const isWorst = ({ state }) => state === "down" || state === "expected";
  const traced = areCells ? shown.slice(0, MAX_WORST).filter(isWorst) : shown;
  const untraced = areCells ? shown.slice(traced.length, MAX_HIDDEN_ROWS) : [];
  for (const worker of listed) worker.row.isListed = false;
  $("workers").replaceChildren(...traced.map((worker) => getRow(worker, true)));
  $("hidden-workers").replaceChildren(...untraced.map((worker) => getRow(worker, false)));
  for (const worker of listed) if (!worker.row.isListed) removeRow(worker);
  listed = [...traced, ...untraced];
  $("rows").hidden = traced.length === 0;
  $("cells").hidden = !areCells;
  $("none").hidden = shown.length > 0;
  setText($("none"), workers.size > 0 ? "No worker matches the search." : "There is no worker yet.");
  setText($("hidden-caption"), "The next " + untraced.length + " of " + shown.length +
    " workers, the silent ones first. The search finds the others.");
  if (areCells) sizeGrid();
}

function removeRow(worker) {
  if (worker.row.canvas) sightings.unobserve(worker.row.canvas);
  delete worker.row;
}

/** The row of a worker, which is kept as long as it is shown in the same way. */
function getRow(worker, hasTrace) {
  if (worker.row && !worker.row.canvas === hasTrace) removeRow(worker);
  worker.row ??= createRow(worker, hasTrace);
  worker.row.isListed = true;
  // its size or its colours may be others
  worker.row.drawnAt = undefined;
  return worker.row.element;
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
    row.canvas.row = row;
    sightings.observe(row.canvas);
    row.canvas.setAttribute("aria-hidden", "true");
    cell("trace", "").append(row.canvas);
  }
  row.state = cell("state", "");
  row.since = cell("since", "");
  row.detail = cell("detail", "");
  return row;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function updateRow(worker) {
  const { row } = worker;
  row.element.className = worker.state;
  setText(row.state, worker.state);
  setText(row.since, since(worker));
  setText(row.detail, row.detail.title = escapeText(worker.detail ?? ""));
}

/** Which traces can be seen: 60 of them take longer than a frame, without a graphics card. */
const sightings = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.row.isSeen = isIntersecting;
});

/** What cannot be heard stays as it was. */
function drawTraces(now, areAllSeen = false) {
  const at = link === "live" && canHear() ? now : heardUntil;
  for (const worker of listed) {
    const { row } = worker;
    if (!row.canvas || row.drawnAt === at || !(row.isSeen || areAllSeen)) continue;
    row.drawnAt = at;
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
