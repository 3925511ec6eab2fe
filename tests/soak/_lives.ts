// Copyright 2026 the heartbeat authors. MIT license.

import { startCommand } from "../../command.ts";
import { FleetMonitor } from "../../fleet.ts";
import { HeartbeatMonitor, watch } from "../../monitor.ts";
import {
  type NatsConnection,
  publishHeartbeats,
  subscribeHeartbeats,
} from "../../nats.ts";
import { supervise } from "../../supervisor.ts";
import { startThread } from "../../thread.ts";
import type { WorkerStreams } from "../../worker.ts";
import type { Dice } from "./_dice.ts";
import { Fault } from "./_dice.ts";
import { createFaultyStream, startAny, THREAD } from "./_sources.ts";

/** Reads in one of the ways of a consumer. */
async function consume(dice: Dice, stream: ReadableStream<unknown>) {
  const reader = stream.getReader();
  const leaveAt = dice.chance(0.2) ? dice.below(10) : Infinity;
  for (let n = 0;; n++) {
    if (n === leaveAt) return await reader.cancel(new Error("enough"));
    if (dice.chance(0.05)) await dice.sleep(dice.below(100));
    if ((await reader.read()).done) return;
  }
}

/** Waits for all, and fails as the first of them that does. */
async function settle(...all: Promise<unknown>[]) {
  for (const end of await Promise.allSettled(all)) {
    if (end.status === "rejected") throw end.reason;
  }
}

/** One life of each kind: something is started, used, and ends in one way or another. */
export class Lives {
  readonly fleet = new FleetMonitor({ timeout: 300, forgetAfter: 300 });
  /** The `finished` that have not resolved. */
  readonly unfinished = new Set<Promise<void>>();
  /** The processes that were started. */
  readonly pids: number[] = [];
  readonly #dice: Dice;
  #members = 0;

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** Remembers a worker until its work has ended. */
  #remember<R>(worker: WorkerStreams<R>): WorkerStreams<R> {
    const { finished } = worker;
    this.unfinished.add(finished);
    finished.then(() => this.unfinished.delete(finished));
    return worker;
  }

  #startAny(signal: AbortSignal) {
    return this.#remember(startAny(this.#dice, signal));
  }

  async #reportToFleet(heartbeats: WorkerStreams<unknown>["heartbeats"]) {
    const member = this.fleet.handle(`member-${this.#members++}`);
    for await (const { seq, detail } of heartbeats) member.beat(seq, detail);
    if (this.#dice.chance(0.5)) this.fleet.remove(member.worker);
  }

  /** Reads a pair of streams, one way or another. */
  async #consumeBoth({ results, heartbeats }: WorkerStreams<unknown>) {
    const dice = this.#dice;
    const way = dice.below(3);
    if (way === 0) {
      return await consume(
        dice,
        watch({ results, heartbeats }, {
          timeout: dice.limit(300),
          isHeartbeat: () => {
            dice.fault("isHeartbeat");
            return true;
          },
        }),
      );
    }
    const beats = way === 1
      ? this.#reportToFleet(heartbeats)
      : consume(dice, heartbeats);
    await settle(
      consume(dice, results),
      Promise.race([beats, dice.sleep(2_000)]),
    );
  }

  worker(signal: AbortSignal) {
    return this.#consumeBoth(this.#startAny(signal));
  }

  supervisor(signal: AbortSignal) {
    const dice = this.#dice;
    const worker = supervise(({ signal }) => {
      dice.fault("start");
      return this.#startAny(signal);
    }, {
      timeout: dice.limit(300),
      stopTimeout: dice.limit(200),
      interval: 50,
      maxRestarts: dice.below(4),
      backoff: { min: dice.below(30), max: 50 },
      signal,
      onEvent: () => dice.fault("onEvent", 0.01),
      shouldRestart() {
        dice.fault("shouldRestart");
        return dice.chance(0.9);
      },
      isHeartbeat() {
        dice.fault("isHeartbeat", 0.01);
        return true;
      },
    });
    return this.#consumeBoth(this.#remember(worker));
  }

  monitor(signal: AbortSignal) {
    const dice = this.#dice;
    const monitor = new HeartbeatMonitor<number>({
      timeout: dice.limit(100 + dice.below(400)),
      isHeartbeat: (n) => {
        dice.fault("isHeartbeat");
        return n % 2 === 0;
      },
    });
    const source = createFaultyStream(dice);
    return consume(dice, source.pipeThrough(monitor, { signal }));
  }

  published(signal: AbortSignal) {
    const dice = this.#dice;
    const { results, heartbeats } = this.#startAny(signal);
    const connection: NatsConnection = {
      publish: () => dice.fault("publish", 0.1),
      subscribe() {
        throw new Fault("subscribe");
      },
      async *status() {
        dice.fault("status", 0.1);
        yield { type: "disconnect" };
        await dice.sleep(dice.below(100));
        dice.fault("status", 0.1);
        yield { type: "reconnect" };
      },
      isClosed: () => dice.chance(0.1),
      isDraining: () => dice.chance(0.1),
    };
    const publishing = publishHeartbeats(connection, "heartbeats.a");
    return settle(consume(dice, results), heartbeats.pipeTo(publishing));
  }

  async nats(signal: AbortSignal) {
    const dice = this.#dice;
    const { connection, deliver, close } = createConnection();
    const beats = subscribeHeartbeats(connection, "heartbeats.>", {
      onMalformed: () => dice.fault("onMalformed", 0.3),
    });
    const fleet = new FleetMonitor({
      timeout: dice.limit(200),
      forgetAfter: dice.limit(100),
    });
    const read = consume(dice, beats.pipeThrough(fleet, { signal }));
    const stop = new AbortController();
    const caught = read.finally(() => stop.abort());
    caught.catch(() => {});
    for (let seq = dice.below(20); seq > 0 && !stop.signal.aborted; seq--) {
      const worker = `w${dice.below(5)}`;
      const beat = JSON.stringify({ worker, seq, time: 0 });
      deliver(worker, dice.chance(0.1) ? "{" : beat);
      await dice.sleep(dice.below(50));
    }
    close();
    await caught;
  }

  thread(signal: AbortSignal) {
    const dice = this.#dice;
    const worker = startThread(THREAD, {
      signal,
      interval: 50,
      stopTimeout: dice.limit(300),
      input: {
        length: dice.below(10),
        faultAt: dice.chance(0.3) ? dice.below(10) : 0,
        hangAt: dice.chance(0.3) ? dice.below(10) : 0,
        badEnd: dice.chance(0.2),
      },
    });
    return this.#consumeBoth(this.#remember(worker));
  }

  async command(signal: AbortSignal) {
    const dice = this.#dice;
    const script = dice.pick([
      "exit 0",
      "exit 3",
      "sleep 60",
      "cat",
      "kill $$",
    ]);
    const output = this.#remember(startCommand("sh", {
      args: ["-c", `echo $$; ${script}`],
      signal,
      interval: 50,
      killAfter: 300,
      killSignal: () => {
        dice.fault("killSignal", 0.2);
        return "SIGTERM";
      },
      stdin: dice.chance(0.5) ? "null" : createInput(dice),
    }));
    const [taken, read] = output.results.tee();
    const first = read.getReader();
    first.read().then(({ value }) => {
      if (value) this.pids.push(Number(new TextDecoder().decode(value.bytes)));
    }).catch(() => {}).finally(() => first.cancel().catch(() => {}));
    await this.#consumeBoth({ ...output, results: taken });
  }
}

/** A connection whose messages the soak delivers. */
function createConnection() {
  let deliver = (_worker: string, _payload: string) => {};
  const closed = Promise.withResolvers<void>();
  const connection: NatsConnection = {
    publish() {},
    subscribe(_, { callback }) {
      deliver = (worker, text) =>
        callback(null, {
          subject: `heartbeats.${worker}`,
          data: new TextEncoder().encode(text),
        });
      return { closed: closed.promise, unsubscribe: closed.resolve };
    },
    async *status() {},
    isClosed: () => false,
    isDraining: () => false,
  };
  return {
    connection,
    deliver: (worker: string, payload: string) => deliver(worker, payload),
    close: () => closed.resolve(),
  };
}

/** The standard input of a command. */
function createInput(dice: Dice) {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      await dice.sleep(dice.below(50));
      dice.fault("stdin", 0.1);
      if (dice.chance(0.3)) controller.close();
      else controller.enqueue(new Uint8Array(dice.below(100)));
    },
    cancel: () => dice.fault("cancel", 0.2),
  });
}
