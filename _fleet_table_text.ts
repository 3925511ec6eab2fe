// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** A fleet as a table for a terminal: rows and a size become lines. */

import { escapeText } from "./_escape_text.ts";
import { formatDetail } from "./_fleet_detail.ts";
import { formatSeconds } from "./_health_checks.ts";
import { cut, fit, measure } from "./_terminal_text.ts";

/** What a worker of the table is. */
export type ShownState = "down" | "expected" | "up" | "left";

/** A row of the table. Its texts may come from a network. */
export interface ShownWorker {
  /** Its name. */
  worker: string;
  /** What it is. */
  state: ShownState;
  /** When its last heartbeat came, in milliseconds since the epoch. */
  lastSeen?: number;
  /** The detail of that heartbeat. */
  detail?: unknown;
}

/** What the table shows. */
export interface TableContent {
  /** What is watched, and where. */
  title: string;
  /** The workers, the worst first; perhaps not all. */
  workers: ShownWorker[];
  /** How many workers there are, by state. */
  counts: Record<ShownState, number>;
  /** Why nobody can be heard; `undefined` if they can. */
  blind: string | undefined;
  /** What happened last. */
  lastEvent: string;
  /** The time, in milliseconds since the epoch. */
  now: number;
  /** The recent heartbeats of a worker, in so many cells. */
  drawTrace: (worker: string, width: number) => string;
}

/** The window that it must fit. */
export interface TableSize {
  /** Its width, in cells. */
  columns: number;
  /** Its height, in lines; `Infinity` for as many as there are workers. */
  rows: number;
}

/** The text of a table, with or without colours. */
export interface TableStyle {
  /** Whether the states have colours. */
  isColored: boolean;
  /** What the last line says of the keys. */
  keys: string;
}

/** The widest trace, and the narrowest one and detail that are worth their room. */
const MAX_TRACE = 24;
const MIN_TRACE = 4;
const MIN_DETAIL = 8;
/** Lines below the rows: what follows, the last event. */
const FOOT_LINES = 2;
/** The least height of a window that has headings, and of one that has a title. */
const MIN_WITH_HEADINGS = 5;
const MIN_WITH_TITLE = 8;
const GAP = "  ";

/** The ANSI style of each state. */
const STYLES: Record<ShownState, number> = {
  down: 31,
  expected: 33,
  up: 32,
  left: 2,
};
const BOLD = 1;
const DIM = 2;
const ALARM = "1;37;41";

/** The texts of a row, and the style of its state. */
interface Row {
  cells: string[];
  state: ShownState;
}

/** The lines of the table: as many as the window has, and never wider. */
export function renderFleet(
  view: TableContent,
  { columns, rows: height }: TableSize,
  { isColored, keys }: TableStyle,
): string[] {
  const paint = (text: string, style: number | string) =>
    isColored ? `\x1b[${style}m${text}\x1b[0m` : text;
  const total = Object.values(view.counts).reduce((a, b) => a + b);
  const status = paint(
    cut(describeStatus(view), columns),
    view.blind === undefined ? BOLD : ALARM,
  );
  const head = [status];
  if (height >= MIN_WITH_TITLE) {
    head.push(paint(cut(escapeText(view.title), columns), DIM));
  }
  const hasHeadings = height >= MIN_WITH_HEADINGS;
  const room = Math.max(height - head.length - FOOT_LINES, 0);
  const shown = view.workers.slice(0, hasHeadings ? room - 1 : room);
  const lines = [
    ...head,
    ...renderRows(view, shown, columns, paint).slice(hasHeadings ? 0 : 1),
    ...total > shown.length
      ? [cut(`… and ${total - shown.length} more`, columns)]
      : [],
  ];
  if (height === Infinity) return lines;
  while (lines.length < height - 1) lines.push("");
  const end = paint(renderEnd(view, keys, columns), DIM);
  return [...lines.slice(0, height - 1), end];
}

/** Whether the fleet can be heard, and how many workers there are. */
function describeStatus({ blind, counts }: TableContent): string {
  const status = blind === undefined ? "live" : `BLIND: ${escapeText(blind)}`;
  const { down, expected, up, left } = counts;
  const parts = [`${up} up`, `${down} down`, `${expected} expected`];
  if (left > 0) parts.push(`${left} left`);
  return `${status}${GAP}${parts.join(", ")}`;
}

/** The headings, and a line for each worker. */
function renderRows(
  view: TableContent,
  workers: ShownWorker[],
  columns: number,
  paint: (text: string, style: number) => string,
): string[] {
  const rows = workers.map((worker) => toRow(worker, view.now));
  const widths = layOut(rows, columns);
  const headings = ["worker", "state", "last", "beats", "detail"];
  return [
    paint(join(headings, widths), DIM),
    ...rows.map(({ cells, state }, i) => {
      cells[3] = view.drawTrace(workers[i]!.worker, widths[3]!);
      // what cannot be heard may be up or down
      const style = view.blind === undefined ? STYLES[state] : DIM;
      return join(
        cells,
        widths,
        (text, column) =>
          column === 1 || column === 3 ? paint(text, style) : text,
      );
    }),
  ];
}

function toRow({ worker, state, lastSeen, detail }: ShownWorker, now: number) {
  const silence = lastSeen === undefined
    ? "never"
    : formatSeconds(Math.max(now - lastSeen, 0));
  const text = detail === undefined ? "" : formatDetail(detail);
  const cells = [escapeText(worker), state, silence, "", escapeText(text)];
  return { cells, state };
}

/** The width of each column; 0 for one that has no room. */
function layOut(rows: Row[], columns: number): number[] {
  const widest = (column: number, heading: string) =>
    measure([heading, ...rows.map(({ cells }) => cells[column]!)]);
  const most = Math.min(Math.max(Math.floor(columns * 0.3), 10), columns);
  const widths = [Math.min(widest(0, "worker"), most)];
  let rest = columns - widths[0]!;
  const take = (wanted: number, least: number) => {
    const room = rest - GAP.length;
    const width = room < least ? 0 : Math.min(wanted, room);
    if (width > 0) rest = room - width;
    widths.push(width);
  };
  for (const [column, heading] of [[1, "state"], [2, "last"]] as const) {
    const width = widest(column, heading);
    take(width, width);
  }
  const half = Math.floor((rest - 2 * GAP.length) / 2);
  const hasDetail = half >= MIN_DETAIL;
  take(hasDetail ? Math.min(half, MAX_TRACE) : MAX_TRACE, MIN_TRACE);
  take(hasDetail ? widest(4, "detail") : 0, MIN_DETAIL);
  return widths;
}

/** The cells of a line; numbers are at the right of theirs. */
function join(
  cells: string[],
  widths: number[],
  paint: (text: string, column: number) => string = (text) => text,
): string {
  return cells.flatMap((cell, column) => {
    const width = widths[column]!;
    if (width === 0) return [];
    const text = column === 2
      ? " ".repeat(Math.max(width - measure([cell]), 0)) + cut(cell, width)
      : fit(cell, width);
    return [paint(text, column)];
  }).join(GAP).trimEnd();
}

/** The last event, and the keys at the right. */
function renderEnd({ lastEvent }: TableContent, keys: string, columns: number) {
  const room = columns - measure([keys]) - GAP.length;
  return room < MIN_DETAIL
    ? cut(keys, columns)
    : fit(escapeText(lastEvent), room) + GAP + keys;
}
