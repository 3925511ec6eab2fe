// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * Heartbeats between machines, over core NATS publish/subscribe: small messages,
 * fire and forget, worthless when late. {@linkcode publishHeartbeats} sends
 * those of a worker, {@linkcode subscribeHeartbeats} receives those of a fleet.
 *
 * Both take a connection of the official client, with any transport:
 * `@nats-io/transport-node`, `@nats-io/transport-deno`, or `wsconnect()` of
 * `@nats-io/nats-core` in a browser. It takes care of authentication and TLS:
 *
 * ```ts ignore
 * import { credsAuthenticator } from "@nats-io/nats-core";
 * import { connect } from "@nats-io/transport-node";
 *
 * const connection = await connect({
 *   servers: "tls://nats.example.com:4222",
 *   tls: { caFile: "ca.pem" },
 *   authenticator: credsAuthenticator(await Deno.readFile("worker.creds")),
 *   maxReconnectAttempts: -1, // the default gives up after 10
 *   reconnectTimeWait: 250, // ms; far below the timeout of the watchers
 * });
 * ```
 *
 * Give each worker a subject of its own that ends with its name, such as
 * `heartbeats.build.alpha`. A watcher chooses workers with a wildcard
 * (`heartbeats.build.*`, `heartbeats.>`), and **takes the name of a worker from the
 * subject**, because the server guards subjects: it lets each worker publish to its
 * own only, so no worker can speak for another. Anyone can write any name into a
 * payload.
 *
 * ```text
 * authorization {
 *   users = [
 *     { user: "alpha",   password: "…", permissions: { publish: "heartbeats.build.alpha", subscribe: { deny: ">" } } }
 *     { user: "watcher", password: "…", permissions: { publish: { deny: ">" }, subscribe: "heartbeats.>" } }
 *   ]
 * }
 * ```
 *
 * @module
 */

import {
  checkDuration,
  checkFunction,
  checkNumber,
  checkOptions,
  checkStream,
  checkString,
  throwInvalid,
} from "./_validate.ts";
import { escapeText as escapeUnsafe } from "./_escape_text.ts";
import { SightEvents } from "./_sight_events.ts";
import { ConnectionWatch } from "./_connection_watch.ts";
import {
  FIND_WATCH,
  type FindWatch,
  type WatchFinder,
} from "./_watch_finder.ts";
import { LazyBeats } from "./_lazy_beats.ts";
import { HeartbeatPublisher } from "./_nats_publisher.ts";
import { hasWildcard, isSubject } from "./_nats_subject.ts";
import { HeartbeatSubscriber } from "./_nats_subscriber.ts";
import type {
  NatsConnection,
  PublishHeartbeatsOptions,
  SubscribeHeartbeatsOptions,
  WatchableFleet,
  WatchFleetOptions,
  WatchGivenFleetOptions,
} from "./_nats_types.ts";
import type { StoredFleetEvent } from "./_store_types.ts";
import { FleetMonitor } from "./fleet.ts";
import type { Heartbeat } from "./worker.ts";

export type {
  DroppedHeartbeat,
  MalformedMessage,
  NatsConnection,
  NatsMessage,
  NatsStatus,
  NatsSubscription,
  PublishHeartbeatsOptions,
  SubscribeHeartbeatsOptions,
  WatchableFleet,
  WatchFleetOptions,
  WatchGivenFleetOptions,
} from "./_nats_types.ts";

function checkConnection(
  action: string,
  connection: NatsConnection,
  subject: string,
) {
  for (const method of ["publish", "subscribe", "status"] as const) {
    if (typeof connection?.[method] !== "function") {
      const accepted = "a NATS connection";
      throwInvalid(TypeError, action, "connection", accepted, connection);
    }
  }
  checkString(action, "subject", subject);
  // the server reports a bad subject to the connection only: the subscription
  // would wait for ever
  if (!isSubject(subject)) {
    const accepted =
      "a subject without white space or empty parts, with '>' at its end only";
    throwInvalid(RangeError, action, "subject", accepted, subject);
  }
}

/**
 * Publishes the heartbeats that are written to it, one message each, in JSON.
 *
 * Nothing is stored, and the worker never waits. What is written while the
 * connection is lost, draining or closed is dropped, because an old heartbeat is
 * worth nothing: the work goes on, and its watchers see that it is silent.
 *
 * The subject should end with the name of the worker, because watchers take the
 * name from there. A name that cannot be a part of a subject is refused, because no
 * watcher would accept its heartbeats: one that is empty, or has white space or
 * wildcards, or dots (unless the subject ends with the whole name, as
 * `heartbeats.build.alpha` does with `build.alpha`).
 *
 * A detail that makes a heartbeat larger than the broker's `max_payload` is
 * dropped, and the heartbeat is sent without it; `onDropped` counts them.
 *
 * When the stream ends, a last heartbeat says so: `ended` is `"done"` after a close
 * (the work has returned, or was stopped by a signal), and `"failed"` after an abort
 * (the work has thrown, or has stalled). To a watcher that does not receive it, the
 * worker is just silent. So call `await connection.drain()` before the process exits.
 *
 * A worker that may not publish to its subject could never be heard, so the stream
 * errors with the client's `PermissionViolationError`. `heartbeats.pipeTo()` then
 * stops the worker, unless you pass `{ preventCancel: true }`.
 *
 * @param connection The connection; it stays open when the stream ends.
 * @param subject Where to publish, without wildcards.
 * @param options A callback for what is dropped.
 * @returns The stream. It errors with a `RangeError` if the name of the worker
 * cannot be a part of a subject, with a `TypeError` if a `detail` has no form in
 * JSON, and with the client's error if the server does not permit the subject.
 * @throws {TypeError} If `connection` is not a connection, `subject` is not a
 * string, or an option is of the wrong kind.
 * @throws {RangeError} If `subject` is empty, or has an empty part, white space or
 * wildcards.
 *
 * @example Usage
 * ```ts
 * import { startWorker } from "@heartbeat/heartbeat";
 * import { publishHeartbeats } from "@heartbeat/heartbeat/nats";
 * import { assertMatch } from "@std/assert";
 *
 * // in real life: await connect({ servers: "…" }) of @nats-io/transport-node
 * const sent: string[] = [];
 * const connection = {
 *   publish: (subject: string, payload: string) => sent.push(`${subject} ${payload}`),
 *   subscribe: () => ({ closed: Promise.resolve(), unsubscribe() {} }),
 *   async *status() {},
 *   isClosed: () => false,
 *   isDraining: () => false,
 * };
 *
 * const { results, heartbeats } = startWorker(() => [1, 2, 3], { name: "alpha" });
 * const published = heartbeats.pipeTo(publishHeartbeats(connection, "heartbeats.alpha"));
 * await Array.fromAsync(results);
 * await published;
 *
 * assertMatch(sent[0]!, /^heartbeats\.alpha {"worker":"alpha","seq":1,"time":\d+}$/);
 * ```
 */
export function publishHeartbeats(
  connection: NatsConnection,
  subject: string,
  options: PublishHeartbeatsOptions = {},
): WritableStream<Heartbeat> {
  const action = "publish heartbeats";
  checkConnection(action, connection, subject);
  if (hasWildcard(subject)) {
    const accepted = "a subject without wildcards";
    throwInvalid(RangeError, action, "subject", accepted, subject);
  }
  checkOptions(action, options);
  const { onDropped = () => {} } = options;
  checkFunction(action, "onDropped", onDropped);
  return new HeartbeatPublisher(connection, subject, onDropped).writable;
}

/**
 * Subscribes to heartbeats. What has arrived since the last read is one batch,
 * ready for a `FleetMonitor`. Unread heartbeats do not pile up: the latest one of
 * each worker waits, and a gap in `seq` shows how many it replaced. A goodbye waits
 * with the heartbeat before it.
 *
 * The name of a worker is what the wildcards of `subject` stand for, with dots
 * between: `heartbeats.*` reads `alpha` from `heartbeats.alpha`, and `heartbeats.>`
 * reads `build.alpha` from `heartbeats.build.alpha`. A payload that names neither
 * this worker nor its last part (`alpha`) is malformed. `workerOf` reads the name
 * in another way. **Without a wildcard the name comes from the payload**, because
 * all messages have the same subject: whoever may publish to it may speak for any
 * worker.
 *
 * The client subscribes again by itself after a reconnect. Until then nobody can be
 * heard, and nobody should be reported: pause the fleet, as in the example. If the
 * connection is lost without a message, only the client's pings notice it, after up
 * to two of them: give the client `maxPingOut: 1` and a `pingInterval` of at most a
 * quarter of the fleet's timeout.
 *
 * @param connection The connection; it stays open when the stream ends.
 * @param subject What to subscribe to; it may have wildcards.
 * @param options The queue group, the reading of names and details, and callbacks for
 * what is dropped or malformed.
 * @returns The batches. Cancelling the stream ends the subscription. The stream
 * closes when the connection is closed by `close()` or `drain()`. It errors when
 * nothing can ever be heard again: with the error of `connection.closed()` if the
 * client gave up reconnecting or the server refused its credentials, and with
 * the client's error if the server does not permit the subscription.
 * @throws {TypeError} If `connection` is not a connection, or an option is of the
 * wrong kind.
 * @throws {RangeError} If an option is out of range, or the server would refuse
 * `subject` or `queue`: empty, with white space, or a `subject` with an empty part
 * or anything after `>`.
 * @throws {Error} The client's error, if the connection is closed or draining.
 *
 * @example Usage
 * ```ts
 * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
 * import { type NatsConnection, subscribeHeartbeats } from "@heartbeat/heartbeat/nats";
 * import { assertEquals } from "@std/assert";
 *
 * // in real life: await connect({ servers: "…" }) of @nats-io/transport-node
 * const connection: NatsConnection = {
 *   publish() {},
 *   subscribe(_, { callback }) {
 *     const data = new TextEncoder().encode('{"worker":"alpha","seq":1,"time":0}');
 *     setTimeout(callback, 0, null, { subject: "heartbeats.alpha", data });
 *     return { closed: new Promise(() => {}), unsubscribe() {} };
 *   },
 *   async *status() {},
 *   isClosed: () => false,
 *   isDraining: () => false,
 * };
 *
 * const fleet = new FleetMonitor({ timeout: 3_000 });
 * (async () => {
 *   for await (const { type } of connection.status()) {
 *     if (type === "disconnect") fleet.pause(); // blind, from now on
 *     if (type === "reconnect") fleet.resume();
 *   }
 * })();
 * const beats = subscribeHeartbeats(connection, "heartbeats.>");
 * for await (const { worker, type } of beats.pipeThrough(fleet)) {
 *   assertEquals(`${worker} ${type}`, "alpha up");
 *   break;
 * }
 * ```
 */
export function subscribeHeartbeats(
  connection: NatsConnection,
  subject: string,
  options: SubscribeHeartbeatsOptions = {},
): ReadableStream<Heartbeat[]> {
  return createSubscriber(connection, subject, options).readable;
}

/** Checks the arguments, and subscribes; a fleet whose watches are found gets the heartbeats at once. */
function createSubscriber(
  connection: NatsConnection,
  subject: string,
  options: SubscribeHeartbeatsOptions,
  findWatch?: FindWatch,
): HeartbeatSubscriber {
  const action = "subscribe to heartbeats";
  checkConnection(action, connection, subject);
  checkOptions(action, options);
  const {
    queue,
    workerOf,
    maxDetailSize = 4_096,
    onDropped = () => {},
    onMalformed = () => {},
  } = options;
  if (queue !== undefined) {
    checkString(action, "queue", queue);
    // white space breaks the protocol: the server hangs up, at each reconnect again
    if (queue === "" || /\s/.test(queue)) {
      const accepted = "a name, not empty and without white space";
      throwInvalid(RangeError, action, "queue", accepted, queue);
    }
  }
  if (workerOf !== undefined) checkFunction(action, "workerOf", workerOf);
  checkNumber(
    action,
    "maxDetailSize",
    maxDetailSize,
    "a positive number",
    (value) => value > 0,
  );
  checkFunction(action, "onDropped", onDropped);
  checkFunction(action, "onMalformed", onMalformed);

  const isNamed = workerOf !== undefined || hasWildcard(subject);
  return new HeartbeatSubscriber(connection, subject, {
    ...{ queue, workerOf, maxDetailSize, onDropped, onMalformed },
    ...(findWatch && isNamed &&
      { lazyBeats: new LazyBeats(findWatch, maxDetailSize) }),
  });
}

/** A fleet that is watched over NATS, and what happens to it. */
export interface WatchedFleet<Fleet extends WatchableFleet = FleetMonitor> {
  /** What happens to the workers, and to the sight of the watcher. */
  readonly events: ReadableStream<StoredFleetEvent>;
  /** The fleet: its size, and its workers. */
  readonly fleet: Fleet;
}

/** Throws unless `fleet` has what is used of one. */
function checkFleet(action: string, fleet: WatchableFleet) {
  const { writable, pause, resume } = Object(fleet);
  const isFleet = writable instanceof WritableStream &&
    typeof pause === "function" && typeof resume === "function";
  const accepted =
    "a FleetMonitor or a SharedFleet, which gets no other heartbeats";
  if (!isFleet) throwInvalid(TypeError, action, "fleet", accepted, fleet);
  if (writable.locked) {
    throwInvalid(TypeError, action, "fleet", accepted, fleet, "locked");
  }
}

/** How long an answer may take: by default a quarter of the timeout, if there is one. */
function readBlindAfter(
  action: string,
  options: { blindAfter?: number | undefined; timeout?: unknown },
): number {
  const { timeout } = options;
  const usual = typeof timeout === "number" ? timeout / 4 : undefined;
  const { blindAfter = usual } = options;
  checkDuration(action, "blindAfter", blindAfter!);
  return blindAfter!;
}

/**
 * Watches a fleet over NATS: {@linkcode subscribeHeartbeats} and a `FleetMonitor` in
 * one step. It never reports a worker as down while it cannot hear.
 *
 * The round trip to the server is checked four times in `blindAfter`. If it is lost, by
 * a connection that was closed or one that is silent, the event `blind` says so at once,
 * and nobody is down until `sees`, with an answer in time. Then everybody has a fresh
 * `timeout`.
 *
 * A heartbeat of up to 109 bytes is not parsed if it differs
 * from the one before of that worker in digits only, such as those of `seq` and
 * `time`: it is a heartbeat then, too. Its contents are decoded when an event or a
 * snapshot needs them. Everything else is parsed, and checked, when it comes.
 *
 * @param connection The connection; it stays open when the stream ends.
 * @param subject What to subscribe to; it may have wildcards.
 * @param options The limits of the fleet, and the options of the subscription.
 * @returns The events and the fleet. The stream ends as that of
 * {@linkcode subscribeHeartbeats}: with an error if nothing can ever be heard again.
 * Cancelling it ends the subscription.
 * @throws {TypeError} As {@linkcode subscribeHeartbeats} and `FleetMonitor`.
 * @throws {RangeError} As {@linkcode subscribeHeartbeats} and `FleetMonitor`.
 *
 * @example Usage
 * ```ts
 * import { type NatsConnection, watchFleet } from "@heartbeat/heartbeat/nats";
 * import { assertEquals } from "@std/assert";
 *
 * // in real life: await connect({ servers: "…" }) of @nats-io/transport-node
 * const connection: NatsConnection = {
 *   publish() {},
 *   subscribe(_, { callback }) {
 *     const data = new TextEncoder().encode('{"worker":"alpha","seq":1,"time":0}');
 *     setTimeout(callback, 0, null, { subject: "heartbeats.alpha", data });
 *     return { closed: new Promise(() => {}), unsubscribe() {} };
 *   },
 *   async *status() {},
 *   isClosed: () => false,
 *   isDraining: () => false,
 *   flush: () => Promise.resolve(),
 * };
 *
 * const { events } = watchFleet(connection, "heartbeats.>", { timeout: 3_000 });
 * for await (const event of events) {
 *   if (event.type === "blind") console.log("nobody can be heard");
 *   if (event.type === "up") {
 *     assertEquals(event.worker, "alpha");
 *     break;
 *   }
 * }
 * ```
 */
export function watchFleet(
  connection: NatsConnection,
  subject: string,
  options: WatchFleetOptions,
): WatchedFleet;
/**
 * Watches a fleet over NATS that the caller has made: a `SharedFleet`, so that
 * several watchers divide the workers among them, or a `FleetMonitor`, with the
 * events of `persistFleet()`. It promises what the other form promises.
 *
 * ```ts ignore
 * await using group = new WatchGroup(leases, { lease: 10_000 });
 * const fleet = new SharedFleet(group, { timeout: 3_000, store });
 * const { events } = watchFleet(connection, "heartbeats.>", { fleet, blindAfter: 750 });
 * ```
 *
 * @typeParam Fleet The type of the fleet.
 * @param connection The connection; it stays open when the stream ends.
 * @param subject What to subscribe to; it may have wildcards.
 * @param options The fleet, and the options of the subscription.
 * @returns The events and the fleet.
 * @throws {TypeError} As {@linkcode subscribeHeartbeats}, or if `fleet` is not a
 * fleet, or its events are read by somebody else.
 * @throws {RangeError} As {@linkcode subscribeHeartbeats}, or if `blindAfter` is
 * out of range.
 *
 * @example Usage
 * ```ts
 * import { FleetMonitor } from "@heartbeat/heartbeat/fleet";
 * import { type NatsConnection, watchFleet } from "@heartbeat/heartbeat/nats";
 * import { assertEquals } from "@std/assert";
 *
 * // in real life: await connect({ servers: "…" }) of @nats-io/transport-node
 * const connection: NatsConnection = {
 *   publish() {},
 *   subscribe(_, { callback }) {
 *     const data = new TextEncoder().encode('{"worker":"alpha","seq":1,"time":0}');
 *     setTimeout(callback, 0, null, { subject: "heartbeats.alpha", data });
 *     return { closed: new Promise(() => {}), unsubscribe() {} };
 *   },
 *   async *status() {},
 *   isClosed: () => false,
 *   isDraining: () => false,
 * };
 *
 * const fleet = new FleetMonitor({ timeout: 3_000 });
 * const { events } = watchFleet(connection, "heartbeats.>", { fleet, blindAfter: 750 });
 * for await (const { type } of events) {
 *   assertEquals(type, "up");
 *   break;
 * }
 * ```
 */
export function watchFleet<Fleet extends WatchableFleet>(
  connection: NatsConnection,
  subject: string,
  options: WatchGivenFleetOptions<Fleet>,
): WatchedFleet<Fleet>;
export function watchFleet(
  connection: NatsConnection,
  subject: string,
  options: WatchFleetOptions | WatchGivenFleetOptions<WatchableFleet>,
): WatchedFleet<WatchableFleet> {
  const action = "watch fleet";
  const all = Object(options) as Partial<
    WatchGivenFleetOptions<WatchableFleet>
  >;
  if (all.fleet !== undefined) checkFleet(action, all.fleet);
  const fleet = all.fleet ?? new FleetMonitor(options as WatchFleetOptions);
  const { events: source = fleet.readable } = all;
  checkStream(action, "events", source);
  const blindAfter = readBlindAfter(action, options);
  const { readable: heartbeats } = createSubscriber(
    connection,
    subject,
    options,
    (fleet as WatchFinder)[FIND_WATCH],
  );
  const watch = new ConnectionWatch(connection, {
    blindAfter,
    onBlind() {
      fleet.pause();
      events.add({ type: "blind", time: Date.now(), reason: "connection" });
    },
    onSees() {
      fleet.resume();
      events.add({ type: "sees", time: Date.now() });
    },
  });
  const events = new SightEvents(source, () => watch.stop());
  // how it ends is seen in the events
  heartbeats.pipeTo(fleet.writable).catch(() => {});
  return { events: events.readable, fleet };
}

/**
 * Makes text from elsewhere safe to print: the result is one line without control
 * characters, so it cannot move the cursor, hide or reorder text, or look like a
 * line of its own. Whoever can publish a heartbeat chooses the name of a worker,
 * for example.
 *
 * JSON stays JSON of the same value, because the escapes are those of JSON:
 * `JSON.stringify()` leaves DEL, C1 and bidi characters as they are, so pass its
 * result through this function, too.
 *
 * @param text Any text, or the result of `JSON.stringify()` without indentation.
 * @returns The text with `\n`, `\r`, `\t` and `\uXXXX` in place of what is unsafe.
 * @throws {TypeError} If `text` is not a string.
 *
 * @example Usage
 * ```ts
 * import { escapeText } from "@heartbeat/heartbeat/nats";
 * import { assertEquals } from "@std/assert";
 *
 * const worker = "alpha\n12:00:00  down  beta";
 * assertEquals(escapeText(worker), "alpha\\n12:00:00  down  beta");
 * assertEquals(escapeText(JSON.stringify({ worker: "\u202E" })), '{"worker":"\\u202e"}');
 * ```
 */
export function escapeText(text: string): string {
  checkString("escape text", "text", text);
  return escapeUnsafe(text);
}
