// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import { Broadcast } from "./_broadcast.ts";
import type { EventLog, IdentifiedEvent } from "./_event_log.ts";
import { formatDetail } from "./_fleet_detail.ts";
import type { Blindness, CheckedWorker } from "./_health_checks.ts";

/** How often the clients are sent what has changed, in milliseconds. */
const FRAME_MS = 250;
/** From one snapshot to the next, it takes at least this many times as long as a snapshot. */
const PERIOD_PER_COST = 10;
/** How many workers a client can show. */
const MAX_WORKERS = 10_000;
/** How many of the last events a new client is sent. */
const MAX_EVENTS = 200;
/** How much of a detail is sent, in characters of JSON. */
const MAX_DETAIL = 200;
/** How many frames may wait for a client that does not read. */
const MAX_WAITING = 16;

/** A worker as the live page knows it. */
export interface FeedWorker extends CheckedWorker {
  /** Counts its heartbeats. */
  seq?: number;
}

/** Name, state, last seen, number of heartbeats, last detail in JSON. */
type Row = [string, string, number | null, number | null, string | null];

/** What a client is sent: all workers at first, then what has changed. */
interface Frame {
  /** When, in milliseconds since the epoch. */
  time: number;
  /** How many workers there are; more than are sent, perhaps. */
  total: number;
  /** Why nobody is reported as down; `null` if they are. */
  blind: Blindness | null;
  /** Whether `workers` are all, and the client forgets the others. */
  full: boolean;
  /** Whether the fleet was looked at for it, so that any heartbeat would be seen. */
  fresh: boolean;
  /** The workers that have changed. */
  workers: Row[];
  /** The names of those that are no longer watched. */
  gone: string[];
  /** What has happened; a client that came back may know some of it. */
  events: IdentifiedEvent[];
}

/** The workers at one time, and how many there are in all. */
interface Snapshot {
  rows: Map<string, Row>;
  total: number;
}

/** What the frames are computed from. */
export interface BeatFeedOptions {
  /** The workers as they are now. */
  getWorkers: () => Iterable<FeedWorker>;
  /** Why nobody is reported as down now, if that is so. */
  getBlindness: () => Blindness | undefined;
  /** What has happened. */
  log: EventLog;
}

/**
 * The heartbeats and the events of a fleet for the live page: server-sent events, four
 * a second, with what has changed; with many workers, less often. It is one stream for
 * both, as a browser has six connections to a server. There is a timer only while a
 * client is connected.
 */
export class BeatFeed {
  #options: BeatFeedOptions;
  readonly #clients = new Broadcast({
    maxWaiting: MAX_WAITING,
    onEmpty: () => clearInterval(this.#timer),
  });
  #timer: ReturnType<typeof setInterval> | undefined;
  /** In how many frames nothing is looked at. */
  #framesToRest = 0;
  /** What the clients know. */
  #known: Snapshot = { rows: new Map(), total: 0 };
  /** How many events they know. */
  #eventCount = 0;

  /** @param options Where the heartbeats come from. */
  constructor(options: BeatFeedOptions) {
    this.#options = options;
  }

  /** A stream for a new client. */
  connect(): ReadableStream<string> {
    if (this.#clients.size === 0) this.#start();
    return this.#clients.connect([this.#createFullFrame()]);
  }

  /** Disconnects all clients; the last frame has what has happened until now. */
  close() {
    this.#framesToRest = 0;
    if (this.#clients.size > 0) this.#sendChanges();
    this.#clients.close();
  }

  #start() {
    this.#look();
    this.#eventCount = this.#options.log.count;
    this.#timer = setInterval(() => this.#sendChanges(), FRAME_MS);
  }

  /** A large fleet takes a tenth of a core at most. */
  #look() {
    const start = performance.now();
    this.#known = takeSnapshot(this.#options.getWorkers());
    const cost = performance.now() - start;
    this.#framesToRest = Math.floor(cost * PERIOD_PER_COST / FRAME_MS);
  }

  #sendChanges() {
    const { rows: before } = this.#known;
    const fresh = this.#framesToRest === 0;
    // each frame shows that the connection lives
    if (fresh) this.#look();
    else this.#framesToRest--;
    const { rows } = this.#known;
    const workers = [...rows.values()]
      .filter((row) => hasChanged(before.get(row[0]), row));
    const gone = [...before.keys()].filter((name) => !rows.has(name));
    const { log } = this.#options;
    const events = log.getAfter(this.#eventCount);
    this.#eventCount = log.count;
    this.#clients.send(
      this.#createFrame(workers, { gone, events, full: false, fresh }),
    );
  }

  #createFullFrame(): string {
    const workers = [...this.#known.rows.values()];
    const { log } = this.#options;
    const events = log.getAfter(log.count - MAX_EVENTS);
    return this.#createFrame(workers, {
      gone: [],
      events,
      full: true,
      fresh: true,
    });
  }

  #createFrame(
    workers: Row[],
    rest: Pick<Frame, "gone" | "events" | "full" | "fresh">,
  ): string {
    const { total } = this.#known;
    const blind = this.#options.getBlindness() ?? null;
    const frame: Frame = { time: Date.now(), total, blind, workers, ...rest };
    return `event: frame\ndata: ${JSON.stringify(frame)}\n\n`;
  }
}

/** At most as many workers as a client can show, the silent ones first, those that left last. */
function takeSnapshot(workers: Iterable<FeedWorker>): Snapshot {
  const silent: FeedWorker[] = [];
  const up: FeedWorker[] = [];
  const left: FeedWorker[] = [];
  const lists = { down: silent, expected: silent, up, left };
  let total = 0;
  for (const worker of workers) {
    total++;
    const list = lists[worker.state];
    if (list.length < MAX_WORKERS) list.push(worker);
  }
  const shown = [...silent, ...up, ...left].slice(0, MAX_WORKERS);
  return {
    rows: new Map(shown.map((each) => [each.worker, toRow(each)])),
    total,
  };
}

function toRow({ worker, state, lastSeen, seq, detail }: FeedWorker): Row {
  const text = detail === undefined ? null : cut(formatDetail(detail));
  return [worker, state, lastSeen ?? null, seq ?? null, text];
}

function cut(text: string): string {
  return text.length > MAX_DETAIL ? `${text.slice(0, MAX_DETAIL)}…` : text;
}

function hasChanged(before: Row | undefined, row: Row): boolean {
  return before === undefined || row.some((value, i) => value !== before[i]);
}
