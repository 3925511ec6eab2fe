// Copyright 2026 the heartbeat authors. MIT license.

import {
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { CommandError } from "../_command_error.ts";
import { CommandRun, type CommandRunOptions } from "../_command_run.ts";
import type { CommandOutput, ExitStatus } from "../_command_types.ts";
import {
  advance,
  countListeners,
  createSource,
  readAll,
  skewClock,
} from "./_help.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const SUCCESS: ExitStatus = { code: 0, signal: null };
const MIB = 2 ** 20;

/** A run of a command that a test plays: its pipes, its exit, the end of its tree. */
function createRun(
  options: Partial<CommandRunOptions> = {},
  stdin?: WritableStream<Uint8Array>,
) {
  const aborter = new AbortController();
  const stopper = new AbortController();
  const out = createSource<Bytes>();
  const err = createSource<Bytes>();
  const exit = Promise.withResolvers<ExitStatus>();
  const tree = Promise.withResolvers<void>();
  const leader = Promise.withResolvers<void>();
  const calls: string[] = [];
  const run = new CommandRun(
    {
      pid: 7,
      exited: exit.promise,
      stdout: out.stream,
      stderr: err.stream,
      stdin,
      kill: () => {},
    },
    {
      terminate(signal, killAfter) {
        calls.push(`${signal} ${killAfter}`);
        return tree.promise;
      },
      killNow: () => void calls.push("kill"),
      leaderEnded: leader.promise,
    },
    {
      command: "make",
      input: undefined,
      signal: aborter.signal,
      stopped: stopper.signal,
      killSignal: "SIGTERM",
      killAfter: 5000,
      ...options,
    },
  );
  const output = readAll<CommandOutput>(ReadableStream.from(run.deliver()));
  const endPipes = () => [out, err].forEach((pipe) => pipe.controller.close());
  const print = (size: number) => out.controller.enqueue(new Uint8Array(size));
  return {
    ...{ run, output, aborter, stopper, calls, print, endPipes, out, err },
    exit: exit.resolve,
    endTree: tree.resolve,
    endLeader: leader.resolve,
  };
}

function countBytes(chunks: CommandOutput[]) {
  return chunks.reduce((size, { bytes }) => size + bytes.length, 0);
}

Deno.test("CommandRun ends once the command has exited and its output has ended, in any order", async () => {
  for (const order of [["exit", "pipes"], ["pipes", "exit"]]) {
    using time = new FakeTime();
    const { output, exit, endPipes, calls } = createRun();
    for (const event of order) {
      assertEquals(output.end, undefined, `${order}`);
      if (event === "exit") exit({ code: 2, signal: null });
      else endPipes();
      await advance(time, 1);
    }
    assertInstanceOf(output.end, CommandError);
    assertEquals((output.end as CommandError).code, 2);
    assertEquals(calls, []);
  }
});

Deno.test("CommandRun delivers output until nothing comes for killAfter, once the command has exited", async () => {
  using time = new FakeTime();
  const { output, exit, print } = createRun({ killAfter: 1_000 });
  exit(SUCCESS);
  await advance(time, 900);
  print(1);
  await advance(time, 950);
  assertEquals([output.chunks.length, output.end], [1, undefined]);
  await advance(time, 50);
  assertEquals(output.end, "closed");
});

Deno.test("CommandRun waits for output as long as the command runs", async () => {
  using time = new FakeTime();
  const { output, exit, endPipes } = createRun({ killAfter: 50 });
  await advance(time, 1_000);
  assertEquals(output.end, undefined);
  exit(SUCCESS);
  endPipes();
  await advance(time, 1);
  assertEquals(output.end, "closed");
});

Deno.test("CommandRun delivers output for half a second after an aborted tree has ended", async () => {
  using time = new FakeTime();
  const { output, aborter, endTree, print, calls } = createRun();
  aborter.abort();
  await advance(time, 60_000, 10_000);
  assertEquals([output.end, calls], [undefined, ["SIGTERM 5000"]]);
  endTree();
  await advance(time, 1);
  for (let i = 0; i < 7; i++) {
    print(1);
    await advance(time, 70, 10);
  }
  assertEquals([output.end, output.chunks.length], [undefined, 7]);
  await advance(time, 10, 10);
  assertEquals(output.end, "closed");
});

Deno.test("CommandRun closes half a second after an aborted tree has ended, whatever its exit code is", async () => {
  for (const isFirst of [true, false]) {
    using time = new FakeTime();
    const { output, aborter, exit, endTree } = createRun();
    if (isFirst) exit({ code: 3, signal: null });
    await advance(time, 1);
    aborter.abort();
    exit({ code: 3, signal: null });
    await advance(time, 1_000);
    endTree();
    await advance(time, 499);
    assertEquals(output.end, undefined);
    await advance(time, 1);
    assertEquals(output.end, "closed");
  }
});

const BEFORE_FAILURE: Record<
  string,
  (run: ReturnType<typeof createRun>) => void
> = {
  "runs": () => {},
  "runs, and its tree ends at once": ({ endTree }) => endTree(),
  "has exited": ({ exit }) => exit(SUCCESS),
  "was asked to end": ({ aborter }) => aborter.abort(),
  "has ended after that": ({ aborter, endTree }) => {
    aborter.abort();
    endTree();
  },
};

for (const [when, prepare] of Object.entries(BEFORE_FAILURE)) {
  Deno.test(`CommandRun errors when a pipe fails while the command ${when}`, async () => {
    using time = new FakeTime();
    const run = createRun();
    prepare(run);
    await advance(time, 1);
    const reason = new Error("pipe");
    run.err.controller.error(reason);
    await advance(time, 1);
    assertStrictEquals(run.output.end, reason);
  });
}

Deno.test("CommandRun leaves no listener once the command or its tree has ended", async () => {
  using time = new FakeTime();
  for (const isAborted of [false, true]) {
    const { aborter, signal, listeners } = countListeners();
    const { exit, endPipes, endTree } = createRun({ signal });
    assertEquals(listeners.size, 1);
    if (isAborted) {
      aborter.abort();
      endTree();
    } else {
      exit(SUCCESS);
      endPipes();
    }
    await advance(time, 1);
    assertEquals(listeners.size, 0);
  }
});

Deno.test("CommandRun leaves no timer when its output ends after the exit", async () => {
  using time = new FakeTime();
  const { output, exit, print, endPipes } = createRun();
  exit(SUCCESS);
  await advance(time, 10);
  print(1);
  await advance(time, 10);
  endPipes();
  await advance(time, 1);
  assertEquals([output.end, time.next()], ["closed", false]);
});

Deno.test("CommandRun closes the pipes once nobody wants its output", async () => {
  using time = new FakeTime();
  const { out, err, stopper } = createRun();
  stopper.abort();
  await advance(time, 1);
  assertEquals([out, err].map((pipe) => "cancelled" in pipe), [true, true]);
});

Deno.test("CommandRun does not kill the tree when it is asked to end twice for one reason", () => {
  const { aborter, stopper, calls } = createRun();
  const reason = new Error("enough");
  aborter.abort(reason);
  stopper.abort(reason);
  assertEquals(calls, ["SIGTERM 5000"]);
});

Deno.test("CommandRun errors with what failed although it is stopped then", async () => {
  using time = new FakeTime();
  const { output, err, stopper } = createRun({
    killSignal: () => (stopper.abort(), "SIGINT"),
  });
  const reason = new Error("pipe");
  err.controller.error(reason);
  await advance(time, 1);
  assertStrictEquals(output.end, reason);
});

Deno.test("CommandRun needs no signal", async () => {
  using time = new FakeTime();
  const { output, exit, endPipes } = createRun({ signal: undefined });
  exit(SUCCESS);
  endPipes();
  await advance(time, 1);
  assertEquals(output.end, "closed");
});

Deno.test("CommandRun leaves the input of a command alone that nobody feeds", async () => {
  using time = new FakeTime();
  const events: string[] = [];
  const { output, exit, endPipes } = createRun(
    {},
    new WritableStream({ close: () => void events.push("closed") }),
  );
  await advance(time, 1);
  assertEquals([output.end, events], [undefined, []]);
  exit(SUCCESS);
  endPipes();
  await advance(time, 1);
  assertEquals(output.end, "closed");
});

Deno.test("CommandRun errors with what its input errors with, and ends the tree", async () => {
  using time = new FakeTime();
  const input = createSource<Uint8Array>();
  const { output, calls } = createRun(
    { input: input.stream.getReader() },
    new WritableStream(),
  );
  const reason = new Error("lost");
  input.controller.error(reason);
  await advance(time, 1);
  assertStrictEquals(output.end, reason);
  assertEquals(calls, ["SIGTERM 5000"]);
});

Deno.test("CommandRun delivers 1 MiB at most after an aborted tree has ended", async () => {
  using time = new FakeTime();
  const { output, aborter, endTree, print } = createRun();
  aborter.abort();
  endTree();
  await advance(time, 1);
  for (let i = 0; i < 9; i++) print(MIB / 4);
  await advance(time, 1);
  assertEquals([output.end, countBytes(output.chunks)], ["closed", MIB]);
});

Deno.test("CommandRun takes its own absence and a clock that is set back for no drain", async () => {
  for (const jump of [60_000, -60_000]) {
    using time = new FakeTime();
    using clock = skewClock(time);
    const { output, aborter, endTree, print } = createRun();
    aborter.abort();
    endTree();
    await advance(time, 10, 10);
    clock.ahead = jump;
    print(1);
    await advance(time, 300, 10);
    print(1);
    await advance(time, 1);
    assertEquals([output.chunks.length, output.end], [2, undefined]);
    await advance(time, 500, 10);
    assertEquals(output.end, "closed");
  }
});

Deno.test("CommandRun terminates the tree when it was aborted or stopped before", () => {
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const reasons: unknown[] = [];
  const killSignal = (reason: unknown) => {
    reasons.push(reason);
    return "SIGINT" as const;
  };
  for (const options of [{ signal }, { stopped: signal }]) {
    const { calls } = createRun({ ...options, killSignal });
    assertEquals(calls, ["SIGINT 5000"]);
  }
  assertEquals(reasons.length, 2);
  for (const each of reasons) assertStrictEquals(each, reason);
});

Deno.test("CommandRun ends at once when it is stopped, and kills the tree when it is aborted then", async () => {
  using time = new FakeTime();
  const { output, stopper, aborter, calls } = createRun();
  stopper.abort("stalled");
  await advance(time, 1);
  assertEquals([output.end, calls], ["closed", ["SIGTERM 5000"]]);
  aborter.abort("enough");
  assertEquals(calls, ["SIGTERM 5000", "kill"]);
});

Deno.test("CommandRun errors at once when a pipe fails, and kills the tree when it is stopped then", async () => {
  using time = new FakeTime();
  const reason = new Error("pipe");
  const { output, err, stopper, calls } = createRun();
  err.controller.error(reason);
  await advance(time, 1);
  assertStrictEquals(output.end, reason);
  assertEquals(calls, ["SIGTERM 5000"]);
  stopper.abort("stalled");
  assertEquals(calls, ["SIGTERM 5000", "kill"]);
});

Deno.test("CommandRun ignores an input that fails after the end", async () => {
  using time = new FakeTime();
  const write = Promise.withResolvers<void>();
  const { exit, endPipes, output, calls } = createRun({
    input: ReadableStream.from([new Uint8Array(1)]).getReader(),
  }, new WritableStream({ write: () => write.promise }));
  await advance(time, 1);
  exit(SUCCESS);
  endPipes();
  await advance(time, 1);
  write.reject(new TypeError("late"));
  await advance(time, 1);
  assertEquals([output.end, calls], ["closed", []]);
});

Deno.test("CommandRun sends SIGTERM when killSignal throws, and errors only after an abort", async () => {
  const failure = new Error("no idea");
  const killSignal = () => {
    throw failure;
  };
  for (
    const [event, end] of [["aborter", failure], ["stopper", "closed"]] as const
  ) {
    using time = new FakeTime();
    const run = createRun({ killSignal });
    run[event].abort();
    await advance(time, 1);
    assertEquals(run.calls, ["SIGTERM 5000"]);
    assertStrictEquals(run.output.end, end);
  }
});

Deno.test("CommandRun waits for the tree and its leader, if they were to end", async () => {
  using time = new FakeTime();
  for (const order of [["tree", "leader"], ["leader", "tree"]]) {
    const { run, stopper, endTree, endLeader } = createRun();
    await run.waitForTree();
    stopper.abort();
    let hasEnded = false;
    run.waitForTree().then(() => hasEnded = true);
    for (const which of order) {
      await advance(time, 1);
      assertEquals(hasEnded, false, `${order}`);
      if (which === "tree") endTree();
      else endLeader();
    }
    await advance(time, 1);
    assertEquals(hasEnded, true);
  }
});
