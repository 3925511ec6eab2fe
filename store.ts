// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The memory of a fleet: with {@linkcode persistFleet}, a watcher that restarts
 * knows who was there, and reports who is missing.
 *
 * @module
 */

import { NatsStore } from "./_nats_store.ts";
import {
  PersistedFleet,
  type PersistedSource,
  TAKES_OVER,
} from "./_persisted_fleet.ts";
import type {
  FleetStore,
  PersistFleetOptions,
  StoreBucket,
  StoreBucketEntry,
  StoredFleet,
  StoredFleetEvent,
  StoredRow,
  StoredWorker,
} from "./_store_types.ts";
import {
  checkDuration,
  checkFunction,
  checkOptions,
  checkStream,
  checkString,
  throwInvalid,
} from "./_validate.ts";

export type {
  FleetStore,
  PersistedSource,
  PersistFleetOptions,
  StoreBucket,
  StoreBucketEntry,
  StoredFleet,
  StoredFleetEvent,
  StoredRow,
  StoredWorker,
};

/** Throws unless `value` has these methods. */
function checkMethods(
  action: string,
  option: string,
  accepted: string,
  value: unknown,
  methods: string[],
) {
  for (const method of methods) {
    if (typeof Object(value)[method] !== "function") {
      throwInvalid(TypeError, action, option, accepted, value);
    }
  }
}

/**
 * Gives a fleet a memory: its events, compared with what the store knows from
 * earlier watchers. It takes over `fleet.readable`.
 *
 * What it promises:
 *
 * 1. A worker that was up or down when the last watcher ended is expected from
 *    the start: it has one fresh `timeout` to show up, and is `down` if it does
 *    not. A worker that was up and shows up causes no event. A worker that was down
 *    and shows up has `recovered`, with the outage counted over all watchers.
 * 2. An event is written before it is handed over, and acknowledged when the
 *    reader asks for the next one. If the watcher ends between the two, the next
 *    one hands the event over once more, with the same `id`: each event comes at
 *    least once, and a reader that remembers ids sees each exactly once. Only the ids
 *    of events that could not be written may come again, with other events.
 * 3. The store is written once for an event and once to acknowledge it, and not
 *    for heartbeats. A detail that has more than 4,096 characters in
 *    JSON, or no form in it, is not kept.
 * 4. If another watcher has written the row of a worker meanwhile, the row is read
 *    again. An event that says the same as that row is dropped: that watcher
 *    reports it. Any other one is written over it. If a write fails for another
 *    reason, `onError` hears of it, and it is tried again for `storeTimeout`. Then
 *    the event is handed over all the same, and written when the store is back.
 * 5. Nothing hangs with the store. Whatever that does, the fleet ends at once when
 *    the events are cancelled, or error, and the store is not asked any more.
 *
 * @param fleet The fleet, such as a `FleetMonitor`.
 * @param store The store. No other fleet writes to it at the same time, unless
 * it has other workers.
 * @param options What to do with errors of the store.
 * @returns The events. They error with what the store throws if it cannot be read,
 * and as soon as those of the fleet do. Cancelling them ends the fleet.
 * @throws {TypeError} If an argument is of the wrong kind.
 * @throws {RangeError} If `storeTimeout` is `NaN`, zero or negative.
 *
 * @example A watcher that starts again
 * ```ts
 * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
 * import { type FleetStore, persistFleet, type StoredRow } from "@heartbeat/heartbeat/store";
 * import { assertEquals } from "@std/assert";
 *
 * // in real life: natsStore(bucket)
 * const rows = new Map<string, StoredRow>();
 * let position = 0;
 * let acknowledged = 0;
 * const store: FleetStore = {
 *   load: () => Promise.resolve({ workers: [...rows.values()], acknowledged }),
 *   save: (row) => {
 *     rows.set(row.worker, { ...row, position: ++position });
 *     return Promise.resolve(position);
 *   },
 *   remove: (worker) => Promise.resolve(void rows.delete(worker)),
 *   acknowledge: (position) => Promise.resolve(void (acknowledged = position)),
 * };
 *
 * const first = new FleetMonitor({ timeout: 50 });
 * const events = persistFleet(first, store).getReader();
 * first.beat("alpha");
 * assertEquals((await events.read()).value?.type, "up");
 * await events.cancel(); // this watcher ends, and so does alpha
 *
 * const second = new FleetMonitor({ timeout: 50 });
 * for await (const { worker, type, id } of persistFleet(second, store)) {
 *   // nobody has asked for an event after `up`, so it comes once more
 *   if (type === "up") continue;
 *   assertEquals([worker, type, id], ["alpha", "down", "alpha#2"]);
 *   break;
 * }
 * ```
 */
export function persistFleet(
  fleet: PersistedSource,
  store: FleetStore,
  options: PersistFleetOptions = {},
): ReadableStream<StoredFleetEvent> {
  const action = "persist fleet";
  checkMethods(action, "fleet", "a FleetMonitor", fleet, ["expect"]);
  checkStream(action, "fleet.readable", fleet.readable);
  const methods = ["load", "save", "remove", "acknowledge"];
  checkMethods(action, "store", "a FleetStore", store, methods);
  checkOptions(action, options);
  const { storeTimeout = 5_000, onError = () => {} } = options;
  checkDuration(action, "storeTimeout", storeTimeout);
  checkFunction(action, "onError", onError);
  const { [TAKES_OVER]: takesOver = false } = options as {
    [TAKES_OVER]?: boolean;
  };
  const all = { storeTimeout, onError, takesOver };
  return new PersistedFleet(fleet, store, all).readable;
}

/**
 * A store in a key-value bucket of NATS JetStream. The bucket needs no `ttl`, and
 * a history of 1, which is the default.
 *
 * ```ts ignore
 * import { Kvm } from "@nats-io/kv";
 * const bucket = await new Kvm(connection).create("fleet");
 * const events = persistFleet(fleet, natsStore(bucket));
 * ```
 *
 * @param bucket The bucket.
 * @param prefix What the keys begin with, so that several fleets can share a
 * bucket: empty, or parts that each end with a dot, such as `"build."`.
 * @returns The store.
 * @throws {TypeError} If an argument is of the wrong kind.
 * @throws {RangeError} If `prefix` is not a prefix of a key.
 *
 * @example Usage
 * ```ts
 * import { natsStore, type StoreBucket } from "@heartbeat/heartbeat/store";
 * import { assertEquals } from "@std/assert";
 *
 * // in real life: await new Kvm(connection).create("fleet") of @nats-io/kv
 * const values = new Map<string, string>();
 * let revision = 0;
 * const write = (key: string, value: string) => {
 *   values.set(key, value);
 *   return Promise.resolve(++revision);
 * };
 * const bucket: StoreBucket = {
 *   create: write,
 *   update: write,
 *   put: write,
 *   get: () => Promise.resolve(null),
 *   delete: (key) => Promise.resolve(void values.delete(key)),
 *   history: () => Promise.resolve((async function* () {})()),
 * };
 *
 * const store = natsStore(bucket, "build.");
 * const event = { type: "up", worker: "a.b", time: 0 } as const;
 * await store.save({ worker: "a.b", change: 1, event }, undefined);
 * assertEquals([...values.keys()], ["build.worker.a=2Eb"]);
 * ```
 */
export function natsStore(bucket: StoreBucket, prefix = ""): FleetStore {
  const action = "make store";
  const methods = ["create", "update", "put", "get", "delete", "history"];
  checkMethods(action, "bucket", "a key-value bucket", bucket, methods);
  checkString(action, "prefix", prefix);
  if (!/^([\w-]+\.)*$/.test(prefix)) {
    const accepted =
      "empty, or parts of letters, digits, '-' and '_' that each end with a dot";
    throwInvalid(RangeError, action, "prefix", accepted, prefix);
  }
  return new NatsStore(bucket, prefix);
}
