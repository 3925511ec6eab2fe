// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/**
 * The types of `nats.ts`, which re-exports them.
 *
 * @module
 */

import type { StoredFleetEvent } from "./_store_types.ts";
import type { Heartbeat } from "./_worker_types.ts";
import type { FleetMonitorOptions, FleetWorker } from "./fleet.ts";

/** What is used of a message of the official client. */
export interface NatsMessage {
  /** The subject that it was sent to. */
  subject: string;
  /** The payload. */
  data: Uint8Array;
}

/** What is used of a subscription of the official client. */
export interface NatsSubscription {
  /** Resolves when it has ended, to an error if that is why. */
  closed: Promise<void | Error>;
  /** Ends it. */
  unsubscribe(): void;
}

/** What is used of a status of the official client. */
export interface NatsStatus {
  /** Such as `"disconnect"`, `"reconnect"` and `"error"`. */
  type: string;
  /** What the server refused: the operation, such as `"publish"`, on a subject. */
  error?: Error & { operation?: string; subject?: string };
}

/** What is used of a connection of the official client, `@nats-io/nats-core`. */
export interface NatsConnection {
  /** Sends a message. */
  publish(subject: string, payload: string): void;
  /** Receives the messages of a subject, which may have wildcards. */
  subscribe(
    subject: string,
    options: {
      queue?: string;
      callback: (error: Error | null, message: NatsMessage) => void;
    },
  ): NatsSubscription;
  /** Reports when the connection is lost and made again, and what the server refuses. */
  status(): AsyncIterable<NatsStatus>;
  /** Whether it was closed for good. */
  isClosed(): boolean;
  /** Whether it is being closed. */
  isDraining(): boolean;
  /**
   * Resolves when the server has answered: the round trip that shows that it can be
   * heard. All official clients have it.
   */
  flush?(): Promise<void>;
  /**
   * Resolves when it is closed for good, to an error if that was not on purpose:
   * the client gave up, or the server refused it. All official clients have it.
   */
  closed?(): Promise<void | Error>;
}

/** A message that is not a heartbeat. */
export interface MalformedMessage {
  /** How many there were, this one included. */
  count: number;
  /** The subject that it was sent to. */
  subject: string;
  /** The payload. */
  data: Uint8Array;
  /** What is wrong with it. */
  problem: string;
}

/** A heartbeat that was dropped, or went on without its detail. */
export interface DroppedHeartbeat {
  /** What was dropped: only the detail, or the whole heartbeat. */
  dropped: "detail" | "heartbeat";
  /** How many of this kind were dropped, this one included. */
  count: number;
  /** The name of the worker. */
  worker: string;
  /** The `seq` of the heartbeat. */
  seq: number;
  /** Why it was dropped. */
  problem: string;
}

/** Options of {@linkcode publishHeartbeats}. */
export interface PublishHeartbeatsOptions {
  /**
   * Called with every heartbeat that the client refuses to send, above all one that
   * is larger than the broker's `max_payload`. It is sent without its detail; one
   * that is refused even so is dropped. What it throws errors the stream. What is
   * dropped because the connection is lost or closed is not reported.
   */
  onDropped?: ((dropped: DroppedHeartbeat) => void) | undefined;
}

/** Options of {@linkcode subscribeHeartbeats}. */
export interface SubscribeHeartbeatsOptions {
  /**
   * The queue group to share the messages with. Each message goes to one member
   * at random, so the heartbeats of one worker are spread over all members: this
   * does not divide a fleet.
   */
  queue?: string | undefined;
  /**
   * Reads the name of the worker from the subject of a message; the name in the
   * payload does not count then. A message for which it throws, or returns an
   * empty string, is malformed. By default, the name is what the wildcards of the
   * subscription stand for.
   */
  workerOf?: ((subject: string) => string) | undefined;
  /**
   * The largest payload, in bytes, whose detail is kept: a positive number,
   * `Infinity` for no limit. A heartbeat with a larger one goes on without its
   * detail. A fleet keeps a detail of each worker, and they come from a network.
   *
   * @default {4_096}
   */
  maxDetailSize?: number | undefined;
  /**
   * Called with every heartbeat whose detail is dropped for its size. What it throws
   * errors the stream.
   */
  onDropped?: ((dropped: DroppedHeartbeat) => void) | undefined;
  /**
   * Called with every message that is not a heartbeat; such a message is
   * skipped. What it throws errors the stream.
   */
  onMalformed?: ((message: MalformedMessage) => void) | undefined;
}

/** Options of {@linkcode watchFleet}: those of its fleet and of its subscription. */
export interface WatchFleetOptions
  extends FleetMonitorOptions, SubscribeHeartbeatsOptions {
  /**
   * How long a round trip to the server may take before nothing can be heard, in
   * milliseconds: a positive number, `Infinity` for no limit.
   *
   * @default {timeout / 4}
   */
  blindAfter?: number | undefined;
}

/** What is used of a fleet that is given to `watchFleet()`: a `FleetMonitor`, or a `SharedFleet`. */
export interface WatchableFleet extends Iterable<FleetWorker> {
  /** Takes the heartbeats. */
  readonly writable: WritableStream<Heartbeat | readonly Heartbeat[]>;
  /** The events. */
  readonly readable: ReadableStream<StoredFleetEvent>;
  /** How many workers are watched. */
  readonly size: number;
  /** Declares nobody down from now on. */
  pause(): void;
  /** Ends that: everybody has a fresh timeout. */
  resume(): void;
}

/** Options of `watchFleet()` for a fleet that the caller has made. */
export interface WatchGivenFleetOptions<Fleet extends WatchableFleet>
  extends SubscribeHeartbeatsOptions {
  /** The fleet, with its own limits. */
  fleet: Fleet;
  /**
   * What happens to the fleet, if its own events are read by somebody else, such
   * as `persistFleet(fleet, store)`.
   *
   * @default {fleet.readable}
   */
  events?: ReadableStream<StoredFleetEvent> | undefined;
  /**
   * How long a round trip to the server may take before nothing can be heard, in
   * milliseconds: a positive number, `Infinity` for no limit. A quarter of the
   * fleet's `timeout` is a good choice.
   */
  blindAfter: number;
}
