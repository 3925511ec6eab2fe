// Copyright 2026 the heartbeat authors. MIT license.

// The table of a fleet in a real terminal, with a real broker.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseLines, runCli } from "../_cli_process.ts";
import { Broker, testWithBroker } from "../_nats.ts";
import {
  hasColours,
  hasNoTerminal,
  readFrame,
  startInTerminal,
} from "../_terminal.ts";

/** Heartbeats of workers that the test chooses, five in a second. */
async function publish(broker: Broker, ...workers: string[]) {
  const connection = await broker.connect();
  const names = new Set(workers);
  let seq = 0;
  const timer = setInterval(() => {
    seq++;
    for (const worker of names) {
      const beat = { worker, seq, time: 0, detail: { step: "\x1b[2J" } };
      connection.publish(`heartbeats.${worker}`, JSON.stringify(beat));
    }
  }, 200);
  return {
    names,
    /** A worker says goodbye. */
    leave(worker: string) {
      names.delete(worker);
      const beat = { worker, seq: seq + 1, time: 0, ended: "done" };
      connection.publish(`heartbeats.${worker}`, JSON.stringify(beat));
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await connection.close();
    },
  };
}

/** What gives the window back. */
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";

const testInTerminal = (name: string, fn: () => Promise<void>) =>
  hasNoTerminal ? Deno.test.ignore(name, fn) : testWithBroker(name, fn);

testInTerminal(
  "heartbeat fleet in a terminal draws a table, follows its size, and gives the terminal back",
  async () => {
    await using broker = await Broker.start();
    await using fleet = await publish(broker, "alpha", "beta");
    const file = await Deno.makeTempFile();
    const terminal = startInTerminal(
      `stty cols 80 rows 12; (while [ ! -s ${file} ]; do sleep 0.1; done; stty cols 40 rows 9 < /dev/tty) &
      $HEARTBEAT fleet --nats ${broker.servers} --timeout 1s; echo "code $?"; stty -a`,
    );
    const shows = (...patterns: RegExp[]) =>
      terminal.waitFor((text) => {
        const lines = readFrame(text);
        return patterns.every((each) => lines.some((line) => each.test(line)));
      });
    await shows(/live.*2 up, 0 down/, /alpha .*up .*[▂-█]/, /q quits$/);
    assertEquals(readFrame(terminal.text).length, 12);
    fleet.names.delete("beta");
    await shows(/1 up, 1 down/, /down {7}beta/);
    const rows = readFrame(terminal.text);
    assertMatch(rows[3]!, /^beta {2,}\S*down/);
    assertMatch(rows[4]!, /^alpha {2,}\S*up .*\{"step":"\\u001b\[2J"\}/);
    assert(terminal.text.includes("\x1b[31mdown"), "in red");
    fleet.leave("alpha");
    await shows(/^alpha .*left/, /0 up, 1 down, 0 expected, 1 left/);
    await Deno.writeTextFile(file, "now");
    await terminal.waitFor((text) => readFrame(text).length === 9);
    await terminal.press("q");
    assertEquals(await terminal.end(), 0);
    const [, after] = terminal.text.split(LEAVE);
    assertMatch(after!, /^code 0\r\n/);
    assertMatch(after!, /[; ]icanon.* echo /s);
    await Deno.remove(file);
  },
);

testInTerminal(
  "heartbeat fleet in a terminal ends by Ctrl-C, and draws no colours with NO_COLOR",
  async () => {
    await using broker = await Broker.start();
    await using _fleet = await publish(broker, "alpha");
    const terminal = startInTerminal(
      // the shell gets the signal, too
      `trap : INT; stty cols 80 rows 24; $HEARTBEAT fleet --nats ${broker.servers}; echo "code $?"`,
      { NO_COLOR: "1" },
    );
    await terminal.waitFor((text) => /alpha/.test(readFrame(text)[3] ?? ""));
    await broker.stop();
    await terminal.waitFor((text) => /^BLIND: /.test(readFrame(text)[0]!));
    await terminal.press("\x03");
    await terminal.end();
    assert(terminal.text.endsWith(`${LEAVE}code 130\r\n`), terminal.text);
    assert(!hasColours(terminal.text));
  },
);

testInTerminal(
  "heartbeat fleet in a terminal can be stopped by Ctrl-Z, and goes on",
  async () => {
    await using broker = await Broker.start();
    await using _fleet = await publish(broker, "alpha");
    const rows = [["", "q", 0], ["</dev/null", "\x03", 130]] as const;
    for (const [input, key, code] of rows) {
      const terminal = startInTerminal(
        `stty cols 80 rows 24; set -m
      HEARTBEAT=$(echo "$HEARTBEAT" | sed 's/ run / run --allow-run /')
      $HEARTBEAT fleet --nats ${broker.servers} ${input}; stty -a; echo "sto""pped"
      fg >/dev/null; echo "code $?"`,
      );
      const drawn = () =>
        terminal.waitFor((text) => /alpha/.test(readFrame(text)[3] ?? ""));
      await drawn();
      await terminal.press("\x1a");
      await terminal.waitFor((text) => text.includes("stopped\r\n"));
      const [, meanwhile = ""] = terminal.text.split(LEAVE);
      assertMatch(meanwhile, /[; ]icanon.* echo .*stopped\r\n/s);
      await terminal.waitFor((text) => text.split("?1049h").length === 3);
      await drawn();
      await terminal.press(key);
      await terminal.end();
      assert(terminal.text.endsWith(`${LEAVE}code ${code}\r\n`), terminal.text);
    }
  },
);

testInTerminal(
  "heartbeat fleet in a terminal prints lines where it cannot draw, and with --json and --quiet",
  async () => {
    await using broker = await Broker.start();
    await using _fleet = await publish(broker, "alpha");
    const rows: [string, Record<string, string>, RegExp][] = [
      ["", { TERM: "dumb" }, /^\d\d:\d\d:\d\d {2}watching[^]* up {9}alpha/],
      ["--json", {}, /^\{"type":"watching"[^]*"alpha"/],
    ];
    for (const [flag, env, expected] of rows) {
      const terminal = startInTerminal(
        `$HEARTBEAT fleet --nats ${broker.servers} ${flag}`,
        env,
      );
      await terminal.waitFor((text) => text.includes("alpha"));
      await terminal.press("\x03");
      assertEquals(await terminal.end(), 130);
      assertMatch(terminal.text, expected);
      assert(!terminal.text.includes("\x1b"));
    }
  },
);

testWithBroker(
  "heartbeat fleet --once prints one table, and exits with 1 if nobody is up",
  async () => {
    await using broker = await Broker.start();
    await using _fleet = await publish(broker, "alpha", "beta");
    const args = ["fleet", `--nats=${broker.servers}`, "--timeout=3s"];
    const once = (...more: string[]) => runCli([...args, "--once", ...more]);
    const [table, json, quiet, nobody] = await Promise.all([
      once(),
      once("--json"),
      once("--quiet"),
      once("--subject=other.>"),
    ]);
    const { code, stdout, stderr } = table!;
    assertEquals([code, stderr], [0, ""]);
    assertMatch(
      stdout,
      /^live {2}2 up, 0 down, 0 expected\nheartbeats\.> on .*\nworker .*\nalpha {3}up .*[▂-█].*\nbeta .*\n$/,
    );
    assertEquals(json!.code, 0);
    assertEquals(
      parseLines(json!.stdout).map(({ worker, state }) => [worker, state]),
      [["alpha", "up"], ["beta", "up"]],
    );
    assertEquals([quiet!.code, quiet!.stdout], [0, ""]);
    assertEquals(nobody!.code, 1);
    assertMatch(nobody!.stdout, /^live {2}0 up, 0 down, 0 expected\n/);
  },
);
