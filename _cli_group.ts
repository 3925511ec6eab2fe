// Copyright 2026 the heartbeat authors. MIT license.

/** `heartbeat fleet --group`: a watcher that shares its fleet with others, and remembers it. */

import type { CliConnection } from "./_cli_nats.ts";
import type { LeaseBucket } from "./_group_types.ts";
import type { StoreBucket } from "./_store_types.ts";
import { type CancelTimer, startTimer } from "./_timers.ts";
import type { FleetMonitorOptions } from "./fleet.ts";
import type { SharedFleet, WatchGroup } from "./group.ts";
import type { natsStore } from "./store.ts";

/** What is imported. It is not analyzable, so nothing else loads or downloads it. */
const KEY_VALUE = "npm:@nats-io/kv@3.4.0";

/** How long a lease lasts (ms), unless its bucket is there and says otherwise. */
const LEASE_MS = 10_000;

/** How long changes of the share are collected (ms): they come one by one. */
const SHARE_MS = 200;

/** How many servers of a cluster have a copy: most of them must be there. */
const REPLICAS = 3;

/**
 * Errors within so many ms of each other belong together: a request may take 5 s.
 * Where the leases are long, they are renewed less often.
 */
const STREAK_GAP_MS = 10_000;

/** Errors that go on for so long (ms) are reported. */
const STREAK_MS = 5_000;

/** So many at least: two may be of two short outages. */
const STREAK_ERRORS = 3;

/** A bucket, as `@nats-io/kv` has it. */
type Bucket = LeaseBucket & StoreBucket & {
  /** Its configuration; `ttl` is in milliseconds, 0 for none. */
  status(): Promise<{ ttl: number }>;
};

/** Options of a bucket that is made. */
interface BucketOptions {
  ttl?: number;
  replicas?: number;
}

/** What is used of its `Kvm`. */
interface KeyValueManager {
  create(name: string, options: BucketOptions): Promise<Bucket>;
}

/** What is used of `@nats-io/kv`. */
interface KeyValueClient {
  Kvm: new (connection: CliConnection) => KeyValueManager;
}

/** The public modules that a member needs. */
export interface GroupModules {
  WatchGroup: typeof WatchGroup;
  SharedFleet: typeof SharedFleet;
  natsStore: typeof natsStore;
}

/** What a member reports. */
export interface GroupListener {
  /** It holds so many of the partitions now. */
  onShare: (held: number, partitions: number) => void;
  /** The buckets have thrown something; errors within `gap` ms belong together. */
  onError: (error: unknown, gap: number) => void;
}

/** A member of a group. */
export interface GroupMember {
  /** The workers that it watches. */
  fleet: SharedFleet;
  /** Gives its share to the others. */
  leave(): Promise<void>;
}

/** Why a bucket cannot be had, in words that say what to do. */
function describeFailure(error: unknown): string {
  const { name, message } = error as Error;
  return name === "JetStreamNotEnabled"
    ? "the server has no JetStream: start it as nats-server -js -sd DIRECTORY"
    : message;
}

/** What the client throws if no server has the bucket, whatever the reason. */
const LOST = ["JetStreamNotEnabled", "StreamNotFoundError"];

/** Why the memory cannot be reached any more, in words that say what to do. */
export function describeLoss(error: unknown, group: string): string {
  const { name, message } = error as Error;
  return LOST.includes(name)
    ? `no server has ${group}-leases or ${group}-fleet: ` +
      "if a bucket is gone, start one watcher again, which makes it"
    : message;
}

/**
 * Joins a group. Its leases are in the bucket `NAME-leases` and its memory in
 * `NAME-fleet`, which are made if they are not there.
 *
 * @throws {Error} If the buckets cannot be had.
 */
export async function joinGroup(
  connection: CliConnection,
  name: string,
  { WatchGroup, SharedFleet, natsStore }: GroupModules,
  limits: FleetMonitorOptions,
  listener: GroupListener,
): Promise<GroupMember> {
  const { Kvm }: KeyValueClient = await import(KEY_VALUE);
  const kvm = new Kvm(connection);
  const isCluster = connection.info?.cluster !== undefined;
  const { leases, lease, bucket } = await openBuckets(kvm, name, isCluster)
    .catch((error) => {
      const why = describeFailure(error);
      throw new Error(`cannot join the group '${name}': ${why}`);
    });
  const gap = Math.max(STREAK_GAP_MS, lease / 2);
  const onError = (error: unknown) => listener.onError(error, gap);
  const group = new WatchGroup(leases, { lease, onError });
  const share = new ShareReporter(() =>
    listener.onShare(group.held.length, group.partitions)
  );
  group.observe(() => share.onChange());
  const fleet = new SharedFleet(group, {
    ...limits,
    store: (partition) => natsStore(bucket, `${partition}.`),
    onError,
  });
  return {
    fleet,
    leave() {
      share.stop();
      return group.leave();
    },
  };
}

async function openBuckets(
  kvm: KeyValueManager,
  name: string,
  isCluster: boolean,
) {
  const leases = await openBucket(kvm, `${name}-leases`, isCluster, {
    ttl: LEASE_MS,
  });
  const { ttl: lease } = await leases.status();
  if (!(lease > 0)) {
    throw new Error(`the bucket ${name}-leases has no TTL, so no lease ends`);
  }
  const bucket = await openBucket(kvm, `${name}-fleet`, isCluster, {});
  return { leases, lease, bucket };
}

/** Opens a bucket; one that has to be made survives the loss of a server, if it can. */
async function openBucket(
  kvm: KeyValueManager,
  name: string,
  isCluster: boolean,
  options: BucketOptions,
) {
  if (isCluster) {
    try {
      return await kvm.create(name, { ...options, replicas: REPLICAS });
    } catch {
      // there are not so many servers with JetStream
    }
  }
  return await kvm.create(name, options);
}

/**
 * Errors that come again and again. One alone says nothing: a request may be lost
 * with a connection, and each is tried again.
 */
export class ErrorStreak {
  #first = -Infinity;
  #last = -Infinity;
  #count = 0;
  #isReported = false;

  /** An error came; returns whether it is time to report that, once in a streak. */
  onError(gap = STREAK_GAP_MS): boolean {
    const now = Date.now();
    if (now - this.#last > gap) this.#begin(now);
    this.#last = now;
    this.#count++;
    if (this.#isReported || this.#count < STREAK_ERRORS) return false;
    return this.#isReported = now - this.#first >= STREAK_MS;
  }

  /** What came so far has a known reason. */
  reset() {
    this.#last = -Infinity;
  }

  #begin(now: number) {
    this.#first = now;
    this.#count = 0;
    this.#isReported = false;
  }
}

/** Reports changes of the share that come one by one as one. */
class ShareReporter {
  #report: () => void;
  #cancelTimer: CancelTimer | undefined;

  constructor(report: () => void) {
    this.#report = report;
  }

  /** A partition was acquired or lost. */
  onChange() {
    this.#cancelTimer ??= startTimer(() => {
      this.#cancelTimer = undefined;
      this.#report();
    }, SHARE_MS);
  }

  /** Reports nothing any more. */
  stop() {
    this.#cancelTimer?.();
  }
}
