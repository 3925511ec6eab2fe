// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { GroupChange } from "./_group_types.ts";
import type { StoredFleetEvent } from "./_store_types.ts";
import { sleep } from "./_timers.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** How long to wait (ms) until an event may be reported. */
const RETRY_MS = 50;

/** What is used of a `WatchGroup`. */
export interface ShareholderGroup {
  getPartition(worker: string): number;
  holdsPartition(partition: number): boolean;
  observe(listener: (change: GroupChange) => void): () => void;
}

/** The fleet of one partition. */
export interface PartitionFleet<Fleet> {
  fleet: Fleet;
  /** Its events, perhaps with a memory. */
  events: ReadableStream<StoredFleetEvent>;
}

/** What is used of a `FleetMonitor`. */
interface FleetLike {
  readonly writable: WritableStream<Heartbeat | readonly Heartbeat[]>;
  pause(): void;
  resume(): void;
}

/** A partition that is held. */
interface Share<Fleet> {
  fleet: Fleet;
  beats: WritableStreamDefaultWriter<Heartbeat | readonly Heartbeat[]>;
  events: ReadableStreamDefaultReader<StoredFleetEvent>;
  /** Aborts when the partition is lost. */
  end: AbortController;
}

/** An event on its way to the reader. */
interface Report {
  partition: number;
  event: StoredFleetEvent;
  /** Whether the reader has it. */
  isDone: boolean;
}

const ignore = () => {};

/**
 * The fleets of the partitions that a member of a group holds, as one: it takes
 * the heartbeats of all workers, and reports what happens to those it watches.
 *
 * | phase | a partition is acquired | a partition is lost | heartbeats | `writable` closes | an error, or `readable` is cancelled |
 * | --- | --- | --- | --- | --- | --- |
 * | `open` | its fleet starts | its fleet ends | go to the fleets that are there | → `closing`: all fleets close | → `ended`: all fleets end |
 * | `closing` | | its fleet ends | | | → `ended`: all fleets end |
 * | `ended` | | | | | |
 *
 * From `closing`, it is `ended` when all events have been read. An event waits
 * while its partition is not held at the moment at which it is read, and is dropped
 * if that is lost: who asks for the next event would acknowledge it in its place.
 */
export class ShareMerger<Fleet extends FleetLike> {
  /** The events of all fleets. */
  readonly readable: ReadableStream<StoredFleetEvent>;
  /** Takes the heartbeats of all workers. */
  readonly writable: WritableStream<Heartbeat | readonly Heartbeat[]>;
  readonly #group: ShareholderGroup;
  readonly #create: (partition: number) => PartitionFleet<Fleet>;
  readonly #shares = new Map<number, Share<Fleet>>();
  readonly #reports: WritableStreamDefaultWriter<Report>;
  #phase: "open" | "closing" | "ended" = "open";
  #isPaused = false;
  #input!: WritableStreamDefaultController;
  #output!: TransformStreamDefaultController<StoredFleetEvent>;
  #stopObserving: () => void = ignore;

  constructor(
    group: ShareholderGroup,
    create: (partition: number) => PartitionFleet<Fleet>,
  ) {
    this.#group = group;
    this.#create = create;
    const output = new TransformStream<Report, StoredFleetEvent>({
      start: (controller) => void (this.#output = controller),
      transform: (report, controller) => {
        if (report.isDone) return;
        report.isDone = group.holdsPartition(report.partition);
        if (report.isDone) controller.enqueue(report.event);
      },
    });
    this.readable = output.readable;
    this.#reports = output.writable.getWriter();
    this.#reports.closed.catch((reason) => this.#fail(reason));
    this.writable = new WritableStream({
      start: (controller) => void (this.#input = controller),
      write: (chunk) => this.#route(Array.isArray(chunk) ? chunk : [chunk]),
      close: () => this.#onClose(),
      // at once: aborting the reports would wait until the reader asks for one
      abort: (reason) => this.#output.error(reason),
    });
    this.#stopObserving = group.observe((change) => this.#onChange(change));
  }

  /** The fleets that are there. */
  *fleets(): Generator<Fleet> {
    for (const { fleet } of this.#shares.values()) yield fleet;
  }

  /** The fleet that watches a worker, if its partition is held. */
  findFleet(worker: string): Fleet | undefined {
    return this.#shares.get(this.#group.getPartition(worker))?.fleet;
  }

  /** Pauses or resumes all fleets, those that follow included. */
  setPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
    for (const fleet of this.fleets()) {
      if (isPaused) fleet.pause();
      else fleet.resume();
    }
  }

  #onChange({ type, partition }: GroupChange) {
    if (type === "lost") return this.#endShare(partition);
    if (this.#phase !== "open") return;
    const { fleet, events } = this.#create(partition);
    if (this.#isPaused) fleet.pause();
    const share = {
      fleet,
      beats: fleet.writable.getWriter(),
      events: events.getReader(),
      end: new AbortController(),
    };
    share.beats.closed.catch(ignore);
    this.#shares.set(partition, share);
    this.#forward(partition, share);
  }

  #endShare(partition: number) {
    const share = this.#shares.get(partition);
    this.#shares.delete(partition);
    share?.end.abort();
    share?.events.cancel().catch(ignore);
    this.#closeIfDone();
  }

  async #forward(partition: number, { events, end }: Share<Fleet>) {
    try {
      for (;;) {
        const { done, value } = await events.read();
        if (done) break;
        const report = { partition, event: value, isDone: false };
        await this.#reports.write(report);
        while (!report.isDone) {
          await sleep(RETRY_MS, end.signal);
          if (end.signal.aborted) return;
          await this.#reports.write(report);
        }
        // it is done, so this only waits until the reader asks for the next event
        await this.#reports.write(report);
      }
      if (this.#phase === "closing") this.#endShare(partition);
    } catch (error) {
      this.#output.error(error);
    }
  }

  #route(beats: readonly Heartbeat[]) {
    const parts = new Map<number, Heartbeat[]>();
    for (const beat of beats) {
      const partition = this.#group.getPartition(beat.worker);
      const part = parts.get(partition);
      if (part) part.push(beat);
      else if (this.#shares.has(partition)) parts.set(partition, [beat]);
    }
    for (const [partition, part] of parts) {
      this.#shares.get(partition)!.beats.write(part).catch(ignore);
    }
  }

  #onClose() {
    this.#phase = "closing";
    for (const { beats } of this.#shares.values()) beats.close().catch(ignore);
    this.#closeIfDone();
  }

  #closeIfDone() {
    if (this.#phase !== "closing" || this.#shares.size > 0) return;
    this.#phase = "ended";
    this.#stopObserving();
    this.#reports.close().catch(ignore);
  }

  #fail(reason: unknown) {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#stopObserving();
    this.#input.error(reason);
    for (const partition of [...this.#shares.keys()]) this.#endShare(partition);
  }
}
