// Copyright 2026 the heartbeat authors. MIT license.

// The demo in a real terminal.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { hasColours, hasNoTerminal, startInTerminal } from "../_terminal.ts";

const ARGS = "--runtime=3s --interval=200ms --work=100ms";

Deno.test({
  name:
    "the demo in a terminal has a trace that moves, which NO_COLOR, TERM=dumb, --json and a pipe have not",
  ignore: hasNoTerminal,
  async fn() {
    const runs = ([
      [`$HEARTBEAT ${ARGS}`, {}],
      [`$HEARTBEAT ${ARGS}`, { NO_COLOR: "1" }],
      [`$HEARTBEAT ${ARGS}`, { TERM: "dumb" }],
      [`$HEARTBEAT ${ARGS} --json`, {}],
      [`$HEARTBEAT ${ARGS} | cat`, {}],
    ] as const).map(async ([script, env]) => {
      const terminal = startInTerminal(`stty cols 60; ${script}`, env);
      assertEquals(await terminal.end(), 0);
      return terminal.text;
    });
    const [moving, ...still] = await Promise.all(runs);
    const traces = moving!.match(/[▁-█]+/g)!;
    assert(
      new Set(traces).size > 5 && traces.every((each) => each.length < 50),
    );
    assertMatch(moving!, /█▁+█/);
    assert(/\r$/.test(moving!.split("\x1b[K").at(-2)!), "it is cleared");
    assertMatch(moving!.split("\n").at(-2)!, / results, .*no alarm\r$/);
    for (const text of still) {
      assert(!hasColours(text) && !text.includes("▁"), text);
      assertEquals(text.split("\r\n").length, text.split("\r").length);
    }
  },
});
