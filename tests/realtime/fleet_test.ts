// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { type FleetEvent, FleetMonitor } from "../../fleet.ts";
import { blockLoop, waitUntil } from "../_help.ts";

/** The time between two beats. */
const BEAT = 20;
const FLEET = new URL("../../fleet.ts", import.meta.url).href;

/** Tries again if it failed while the sender was delayed by a busy machine: that silence was real. */
async function whileSteady(
  limit: number,
  run: (sent: (stamp: number) => void) => Promise<void>,
) {
  for (let left = 4;; left--) {
    let [last, longest] = [Infinity, 0];
    try {
      return await run((stamp) => {
        longest = Math.max(longest, stamp - last);
        last = stamp;
      });
    } catch (error) {
      if (left === 0 || longest < limit) throw error;
    }
  }
}

/** A thread that beats for some workers, and for one of them until it gets a message. */
function startBeating(names: string[], silent: string) {
  const code = `
    let names = ${JSON.stringify(names)};
    onmessage = () => names = names.filter((name) => name !== "${silent}");
    let seq = 0;
    setInterval(() => {
      seq++;
      const time = Date.now();
      postMessage(names.map((worker) => ({ worker, seq, time })));
    }, ${BEAT});
  `;
  return new Worker(
    `data:text/javascript,${encodeURIComponent(code)}`,
    { type: "module" },
  );
}

Deno.test("FleetMonitor raises no alarm when the event loop was blocked and heartbeats wait, and finds the silent", async () => {
  const timeout = 800;
  const names = Array.from({ length: 100 }, (_, i) => `w${i}`);
  await whileSteady(timeout / 2, async (sent) => {
    const thread = startBeating(names, "w7");
    const fleet = new FleetMonitor({ timeout });
    const events: FleetEvent[] = [];
    const read = fleet.readable.pipeTo(
      new WritableStream({ write: (event) => void events.push(event) }),
    );
    const writer = fleet.writable.getWriter();
    let batches = 0;
    thread.onmessage = ({ data }) => {
      batches++;
      sent(data[0].time);
      writer.write(data);
    };
    try {
      for (let block = 0; block < 2; block++) {
        const before = batches;
        await waitUntil(() => batches > before + 5);
        await delay(7 * block);
        blockLoop(2 * timeout);
      }
      await delay(2 * timeout);
      assertEquals(
        events.filter(({ type }) => type !== "up").map((event) => event.type),
        [],
      );
      assertEquals(events.length, names.length);
      thread.postMessage("stop");
      await waitUntil(() => events.some(({ type }) => type === "down"));
      await delay(2 * timeout);
      const down = events.slice(names.length) as (FleetEvent & {
        type: "down";
      })[];
      assertEquals(down.map(({ worker }) => worker), ["w7"]);
      const { time, lastSeen } = down[0]!;
      assert(time - lastSeen! >= timeout, `${time - lastSeen!}`);
    } finally {
      thread.terminate();
      await writer.close();
      await read;
    }
  });
});

/** Blocks the event loop for `lag` ms in each of its turns, until it is disposed of. */
function keepBlocked(lag: number) {
  let timer: ReturnType<typeof setTimeout>;
  function block() {
    blockLoop(lag);
    timer = setTimeout(block, 0);
  }
  block();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** A fleet that takes the heartbeats of a thread; `lastRead` is when the last one of `silent` was. */
function watchThread(
  thread: Worker,
  timeout: number,
  silent: string,
  sent: (stamp: number) => void,
) {
  const fleet = new FleetMonitor({ timeout });
  const events: FleetEvent[] = [];
  const read = fleet.readable.pipeTo(
    new WritableStream({ write: (event) => void events.push(event) }),
  );
  const watched = {
    fleet,
    events,
    lastRead: 0,
    async [Symbol.asyncDispose]() {
      thread.terminate();
      await fleet.writable.close();
      await read;
    },
  };
  thread.onmessage = ({ data }) => {
    sent(data[0].time);
    for (const { worker, seq } of data) {
      fleet.beat(worker, seq);
      if (worker === silent) watched.lastRead = Date.now();
    }
  };
  return watched;
}

for (const [lag, timeout] of [[100, 300], [300, 300], [100, 1000]] as const) {
  Deno.test(`FleetMonitor finds the silent in time, and nobody else, when each turn of the loop takes ${lag} ms and the timeout is ${timeout} ms`, async () => {
    await whileSteady(timeout / 2, async (sent) => {
      const names = ["w1", "w2", "w3"];
      const thread = startBeating(names, "w2");
      await using watched = watchThread(thread, timeout, "w2", sent);
      const { fleet, events } = watched;
      await waitUntil(() => fleet.size === names.length);
      using _ = keepBlocked(lag);
      await delay(5 * timeout);
      assertEquals(events.map(({ type }) => type), ["up", "up", "up"]);
      thread.postMessage("stop");
      await waitUntil(() => events.length > names.length);
      await delay(2 * timeout);
      const down = events.slice(names.length);
      assertEquals(
        down.map(({ type, worker }) => `${worker} ${type}`),
        ["w2 down"],
      );
      const silence = down[0]!.time - watched.lastRead;
      assert(silence >= timeout, `${silence}`);
      // a wide margin, as the machine may be busy with something else
      const most = 2 * (3 * timeout + 2 * lag);
      assert(silence <= most, `${silence} of ${most}`);
    });
  });
}

/** A process that watches the workers whose names are written to it, and prints the events. */
function startWatcher(timeout: number) {
  const code = `
    import { FleetMonitor } from "${FLEET}";
    const beats = Deno.stdin.readable.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TransformStream({
        transform(text, controller) {
          const names = text.split("\\n").filter((name) => name.length === 2);
          controller.enqueue(names.map((worker) => ({ worker, seq: 1, time: 0 })));
        },
      }));
    const fleet = new FleetMonitor({ timeout: ${timeout} });
    for await (const { worker, type } of beats.pipeThrough(fleet)) {
      console.log(worker + " " + type);
    }
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", code],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const watcher = {
    child,
    output: "",
    write: (text: string) => writer.write(new TextEncoder().encode(text)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGCONT");
      await writer.close();
      await read;
      await child.status;
    },
  };
  const read = child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({ write: (text) => void (watcher.output += text) }),
  );
  return watcher;
}

/** Stops of these lengths, each followed by a time in which the process runs; both in timeouts. */
const STOPS = [[3, 2], [3, 0.2], [0.5, 0.1], [0.5, 0.1], [1.5, 0.5], [6, 2]];

Deno.test({
  name:
    "FleetMonitor raises no alarm when its process was stopped and continued, and finds the silent after it",
  ignore: Deno.build.os === "windows",
  async fn() {
    const timeout = 500;
    await whileSteady(timeout / 2, async (sent) => {
      await using watcher = startWatcher(timeout);
      let names = ["w1", "w2", "w3"];
      const beating = setInterval(() => {
        sent(performance.now());
        watcher.write(names.map((name) => `${name}\n`).join(""));
      }, BEAT);
      const up = "w1 up\nw2 up\nw3 up\n";
      try {
        await waitUntil(() => watcher.output === up);
        for (const [stop, run] of STOPS) {
          watcher.child.kill("SIGSTOP");
          await delay(stop! * timeout);
          watcher.child.kill("SIGCONT");
          await delay(run! * timeout);
        }
        assertEquals(watcher.output, up);
        names = ["w1", "w3"];
        await waitUntil(() => watcher.output !== up);
        await delay(timeout);
        assertEquals(watcher.output, `${up}w2 down\n`);
      } finally {
        clearInterval(beating);
      }
    });
  },
});
