// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Several watchers for one fleet: {@linkcode WatchGroup} divides it among them, and
 * if a watcher dies, another one takes over.
 *
 * @module
 */

import { BoundedBucket } from "./_bounded_bucket.ts";
import { GroupRun } from "./_group_run.ts";
import type {
  GroupChange,
  LeaseBucket,
  LeaseEntry,
  WatchGroupOptions,
} from "./_group_types.ts";
import { getPartition } from "./_partition.ts";
import { TAKES_OVER } from "./_persisted_fleet.ts";
import { FleetSight, SIGHT } from "./_fleet_sight.ts";
import {
  FIND_WATCH,
  type FindWatch,
  type WatchFinder,
} from "./_watch_finder.ts";
import { ShareMerger } from "./_shared_fleet.ts";
import { SightEvents } from "./_sight_events.ts";
import {
  checkFunction,
  checkNumber,
  checkOptions,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import {
  FleetMonitor,
  type FleetMonitorOptions,
  type FleetWorker,
} from "./fleet.ts";
import {
  type FleetStore,
  persistFleet,
  type StoredFleetEvent,
} from "./store.ts";
import type { Heartbeat } from "./worker.ts";

export type { GroupChange, LeaseBucket, LeaseEntry, WatchGroupOptions };

const ACTION = "join group";

function checkBucket(bucket: LeaseBucket) {
  for (const method of ["create", "update", "put", "get", "delete", "keys"]) {
    if (
      typeof (bucket as never as Record<string, unknown>)?.[method] !==
        "function"
    ) {
      throwInvalid(TypeError, ACTION, "bucket", "a key-value bucket", bucket);
    }
  }
}

/** 16 characters that nobody else has. */
function createRandomText(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

/**
 * A member of a group of watchers that divide a fleet among them. The workers are
 * divided into partitions by their names; each partition is watched by the member
 * that holds its lease, a key in a bucket of NATS whose server removes each key
 * that is not written for `lease` milliseconds.
 *
 * What it promises, as long as the bucket does what JetStream promises:
 *
 * 1. No two members hold a partition at the same time, whatever happens to them:
 *    blocked, stopped, suspended, cut off, its clock set. A member that is silent
 *    for `lease` has lost its partitions, also by its own account, and
 *    {@linkcode WatchGroup.holds} says so at once.
 * 2. If a member dies, the others hold its partitions within `lease` +
 *    `renewEvery`. If it leaves, within `renewEvery`.
 * 3. The partitions are divided evenly by rendezvous hashing. A member that comes
 *    takes its share from all others, and nothing else moves.
 * 4. If the bucket cannot be reached, the leases end after `lease`, and nothing else
 *    happens: the member comes back by itself.
 *
 * Between two holders, a partition is unwatched. The new one does not know when
 * the workers were last heard, so it gives everybody one fresh timeout: a worker
 * that dies meanwhile is down within `lease` + `renewEvery` + `timeout`.
 *
 * Leases as a way to bound the absence of a holder are from Gray and Cheriton.
 *
 * @example Join a group
 * ```ts
 * import { type LeaseBucket, WatchGroup } from "@heartbeat/heartbeat/group";
 * import { assertEquals } from "@std/assert";
 *
 * // in real life: await new Kvm(connection).create("watchers", { ttl: lease }) of @nats-io/kv
 * let revision = 0;
 * const write = () => Promise.resolve(++revision);
 * const bucket: LeaseBucket = {
 *   create: write,
 *   update: write,
 *   put: write,
 *   get: () => Promise.resolve(null),
 *   delete: () => Promise.resolve(),
 *   keys: () => Promise.resolve((async function* () {})()),
 * };
 *
 * const lease = 10_000;
 * const held: number[] = [];
 * const group = new WatchGroup(bucket, {
 *   lease,
 *   partitions: 3,
 *   onChange: ({ type, partition }) => type === "acquired" && held.push(partition),
 * });
 * while (held.length < 3) await new Promise((resolve) => setTimeout(resolve));
 *
 * assertEquals(group.held, [0, 1, 2]);
 * assertEquals(group.holds("alpha"), true);
 * await group.leave();
 * assertEquals(group.holds("alpha"), false);
 * ```
 */
export class WatchGroup implements AsyncDisposable {
  readonly #run: GroupRun;
  /** How many partitions there are. */
  readonly partitions: number;
  /** Which member this is: `name` and a random part. */
  readonly id: string;

  /**
   * Joins the group.
   *
   * @param bucket Where the leases are; only the group writes to it.
   * @param options The length of a lease, and the number of partitions.
   * @throws {TypeError} If `bucket` is not a bucket, or an option is of the wrong
   * kind.
   * @throws {RangeError} If an option is out of its range.
   */
  constructor(bucket: LeaseBucket, options: WatchGroupOptions) {
    checkBucket(bucket);
    checkOptions(ACTION, options);
    const {
      lease,
      partitions = 64,
      name = "watcher",
      onChange = () => {},
      onError = () => {},
    } = options;
    checkNumber(
      ACTION,
      "lease",
      lease,
      "a finite positive number",
      (value) => value > 0 && value < Infinity,
    );
    const { renewEvery = lease / 4 } = options;
    checkNumber(
      ACTION,
      "partitions",
      partitions,
      "a positive integer",
      (value) => value > 0 && Number.isInteger(value),
    );
    checkNumber(
      ACTION,
      "renewEvery",
      renewEvery,
      "a positive number, at most a third of 'lease'",
      (value) => value > 0 && value <= lease / 3,
    );
    checkString(ACTION, "name", name);
    if (!/^[\w-]+$/.test(name)) {
      const accepted = "made of letters, digits, '-' and '_'";
      throwInvalid(RangeError, ACTION, "name", accepted, name);
    }
    checkFunction(ACTION, "onChange", onChange);
    checkFunction(ACTION, "onError", onError);
    this.partitions = partitions;
    this.id = `${name}-${createRandomText()}`;
    this.#run = new GroupRun({
      bucket: new BoundedBucket(bucket, renewEvery),
      ...{ id: this.id, lease, partitions, renewEvery, onError },
    });
    this.#run.observe(onChange);
    this.#run.start();
  }

  /** The partitions that this member holds right now, in ascending order. */
  get held(): number[] {
    return this.#run.getHeld();
  }

  /**
   * Whether this member watches a worker right now. Ask at the moment at which
   * something about the worker is reported: after an absence, the answer is
   * already another one.
   *
   * @param worker The name of the worker.
   * @returns Whether the lease of its partition is held.
   * @throws {TypeError} If `worker` is not a string.
   */
  holds(worker: string): boolean {
    checkString("find partition", "worker", worker);
    return this.#run.holds(getPartition(worker, this.partitions));
  }

  /**
   * Whether this member holds a partition right now.
   *
   * @param partition The partition, from 0.
   * @returns Whether its lease is held.
   */
  holdsPartition(partition: number): boolean {
    return this.#run.holds(partition);
  }

  /**
   * Calls a listener for each partition that is held, and then for each change,
   * at the moment at which it holds.
   *
   * @param listener Receives the changes; what it throws goes to `onError`.
   * @returns Call it to end that.
   * @throws {TypeError} If `listener` is not a function.
   */
  observe(listener: (change: GroupChange) => void): () => void {
    checkFunction("observe group", "listener", listener);
    return this.#run.observe(listener);
  }

  /**
   * The partition of a worker: FNV-1a of its name, without the dots in it. It is
   * what a NATS server computes with the subject mapping
   * `heartbeats.* : heartbeats.{{partition(64,1)}}.{{wildcard(1)}}`.
   *
   * @param worker The name of the worker.
   * @returns The partition, from 0.
   * @throws {TypeError} If `worker` is not a string.
   */
  getPartition(worker: string): number {
    checkString("find partition", "worker", worker);
    return getPartition(worker, this.partitions);
  }

  /**
   * Leaves the group: the other members can take the partitions at once.
   *
   * @returns Resolves when the leases are given back, or could not be: if the bucket
   * does not answer, after twice `renewEvery`.
   */
  leave(): Promise<void> {
    return this.#run.leave();
  }

  /** Leaves the group. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }
}

/** Options of {@linkcode SharedFleet}. */
export interface SharedFleetOptions extends FleetMonitorOptions {
  /**
   * The memory of each partition, the same for all members. Without one, a worker
   * that dies while its partition changes hands is never reported.
   *
   * @example A bucket for all partitions
   * ```ts ignore
   * const bucket = await new Kvm(connection).create("fleet");
   * const store = (partition: number) => natsStore(bucket, `${partition}.`);
   * ```
   */
  store?: ((partition: number) => FleetStore) | undefined;
  /** Receives whatever a store throws. What it throws itself errors the events. */
  onError?: ((error: unknown) => void) | undefined;
}

/**
 * A fleet that several watchers share: it takes the heartbeats of all workers, and
 * reports what happens to those whose partitions this member of the group holds.
 * Use it where a `FleetMonitor` would be: `beats.pipeThrough(shared)`.
 *
 * What it promises, if all members have the same stores:
 *
 * 1. When a member takes over a partition, it expects everybody who was known to
 *    be up. A worker that died at any time before is `down` within `lease` +
 *    `renewEvery` + `timeout` after the last holder was there. A worker that lives
 *    is never reported as down.
 * 2. Each event comes at least once from the whole group, and with the same `id`
 *    if it comes twice.
 * 3. A member that has lost a partition reports nothing about it any more, even if
 *    it does not know that yet because it was stopped.
 *
 * `blindAbove` is a share of all workers that this member watches, whatever their
 * partitions.
 *
 * While a store cannot be read or written, what it would report waits, and
 * `onError` hears of it. If that is because the member is cut off, it loses its
 * leases, and another one reports.
 *
 * ```ts ignore
 * const kvm = new Kvm(connection); // of @nats-io/kv
 * const leases = await kvm.create("watchers", { ttl: 10_000 });
 * const bucket = await kvm.create("fleet");
 * await using group = new WatchGroup(leases, { lease: 10_000 });
 * const fleet = new SharedFleet(group, {
 *   timeout: 3_000,
 *   store: (partition) => natsStore(bucket, `${partition}.`),
 * });
 * const beats = subscribeHeartbeats(connection, "heartbeats.>");
 * for await (const event of beats.pipeThrough(fleet)) console.log(event);
 * ```
 *
 * @example A member that is alone
 * ```ts
 * import { type LeaseBucket, SharedFleet, WatchGroup } from "@heartbeat/heartbeat/group";
 * import { assertEquals } from "@std/assert";
 *
 * // in real life: as above
 * let revision = 0;
 * const write = () => Promise.resolve(++revision);
 * const bucket: LeaseBucket = {
 *   create: write,
 *   update: write,
 *   put: write,
 *   get: () => Promise.resolve(null),
 *   delete: () => Promise.resolve(),
 *   keys: () => Promise.resolve((async function* () {})()),
 * };
 *
 * const group = new WatchGroup(bucket, { lease: 10_000, partitions: 1 });
 * const fleet = new SharedFleet(group, { timeout: 3_000 });
 * while (!group.holds("alpha")) await new Promise((resolve) => setTimeout(resolve));
 * const beats = fleet.writable.getWriter();
 * await beats.write({ worker: "alpha", seq: 1, time: Date.now() });
 *
 * const events = fleet.readable.getReader();
 * assertEquals((await events.read()).value?.type, "up");
 * await events.cancel();
 * await group.leave();
 * ```
 */
export class SharedFleet {
  readonly #merger: ShareMerger<FleetMonitor>;
  readonly #events: SightEvents;

  /**
   * Constructs a new instance.
   *
   * @param group The group.
   * @param options The limits, and the memory.
   * @throws {TypeError} If `group` is not a group, or an option is of the wrong kind.
   * @throws {RangeError} If an option is out of its range.
   */
  constructor(group: WatchGroup, options: SharedFleetOptions) {
    if (!(group instanceof WatchGroup)) {
      throwInvalid(TypeError, "share fleet", "group", "a WatchGroup", group);
    }
    // checks the options
    new FleetMonitor(options);
    // all partitions count: each of them alone may have too few workers
    const sight = new FleetSight(options);
    sight.onEvent = (event) => this.#events.add(event);
    const limits = { ...options, [SIGHT]: sight };
    const { store, onError = () => {} } = options;
    if (store !== undefined) checkFunction("share fleet", "store", store);
    checkFunction("share fleet", "onError", onError);
    this.#merger = new ShareMerger(group, (partition) => {
      const fleet = new FleetMonitor(limits);
      const events = store
        ? persistFleet(fleet, store(partition), {
          // who cannot reach it for long loses the lease, and the next one reports
          storeTimeout: Infinity,
          onError,
          ...{ [TAKES_OVER]: true },
        })
        : fleet.readable;
      return { fleet, events };
    });
    this.#events = new SightEvents(this.#merger.readable, () => {});
    // no part of the interface: for heartbeats that need not be parsed
    const findWatch: FindWatch = (worker) => {
      const fleet = this.#merger.findFleet(worker) as WatchFinder | undefined;
      return fleet?.[FIND_WATCH]?.(worker);
    };
    Object.defineProperty(this, FIND_WATCH, { value: findWatch });
  }

  /** The events. Cancelling this stream ends the fleets, and cancels what is piped into it. */
  get readable(): ReadableStream<StoredFleetEvent> {
    return this.#events.readable;
  }

  /** Takes the heartbeats of all workers, one by one or in batches. */
  get writable(): WritableStream<Heartbeat | readonly Heartbeat[]> {
    return this.#merger.writable;
  }

  /** How many workers this member watches. */
  get size(): number {
    let size = 0;
    for (const fleet of this.#merger.fleets()) size += fleet.size;
    return size;
  }

  /** Declares nobody down until {@linkcode SharedFleet.resume} is called. */
  pause() {
    this.#merger.setPaused(true);
  }

  /** Ends a {@linkcode SharedFleet.pause}: everybody has a fresh `timeout` from now on. */
  resume() {
    this.#merger.setPaused(false);
  }

  /**
   * Iterates over the workers that this member watches, and their state.
   *
   * @returns The workers.
   */
  *[Symbol.iterator](): Generator<FleetWorker> {
    for (const fleet of this.#merger.fleets()) yield* fleet;
  }
}
