// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertThrows } from "@std/assert";
import { serializeError } from "../_error_transfer.ts";
import { readThreadMessage } from "../_thread_messages.ts";

const BEAT = { worker: "alpha", seq: 2, time: 5 };

Deno.test("readThreadMessage() reads the messages of the protocol, and nothing else of them", () => {
  const error = serializeError("bad");
  const rows: [Record<string, unknown>, unknown][] = [
    [{ heartbeat: "ready", more: 1 }, { type: "ready" }],
    [{ heartbeat: "finished" }, { type: "finished" }],
    [{ heartbeat: "beat", beat: { ...BEAT, more: 1 } }, {
      type: "beat",
      beat: BEAT,
    }],
    [{ heartbeat: "beat", beat: { ...BEAT, detail: null } }, {
      type: "beat",
      beat: { ...BEAT, detail: null },
    }],
    [{ heartbeat: "result", value: 5 }, { type: "result", value: 5 }],
    [{ heartbeat: "result" }, { type: "result", value: undefined }],
    [{ heartbeat: "end" }, {
      type: "end",
      result: undefined,
      failure: undefined,
    }],
    [{ heartbeat: "end", result: { value: 1, more: 2 }, error }, {
      type: "end",
      result: { value: 1 },
      failure: { error: "bad" },
    }],
  ];
  for (const [message, expected] of rows) {
    assertEquals<unknown>(readThreadMessage(message), expected);
  }
});

Deno.test("readThreadMessage() ignores what is not of the protocol", () => {
  const foreign = [undefined, null, 5, "ready", [], {}, new Map(), () => {}];
  for (const message of foreign) {
    assertEquals(readThreadMessage(message), undefined);
  }
  for (
    const heartbeat of ["none", "start", "pull", "stop", 5, null, ["ready"]]
  ) {
    assertEquals(readThreadMessage({ heartbeat }), undefined);
  }
});

const createBeat = (more: object) => ({
  heartbeat: "beat",
  beat: { ...BEAT, ...more },
});
const BROKEN: [Record<string, unknown>, string][] = [
  [
    { heartbeat: "beat" },
    "'beat' must be an object: current value is undefined",
  ],
  [
    { heartbeat: "beat", beat: null },
    "'beat' must be an object: current value is null",
  ],
  [
    createBeat({ worker: 5 }),
    "'beat.worker' must be a string: current value is 5",
  ],
  [
    createBeat({ seq: "2" }),
    "'beat.seq' must be an integer: current value is string",
  ],
  [
    createBeat({ seq: 2n }),
    "'beat.seq' must be an integer: current value is bigint",
  ],
  [
    createBeat({ seq: 1.5 }),
    "'beat.seq' must be an integer: current value is 1.5",
  ],
  [
    createBeat({ seq: 2 ** 53 }),
    "'beat.seq' must be an integer: current value is 9007199254740992",
  ],
  [
    createBeat({ time: Infinity }),
    "'beat.time' must be a finite number: current value is Infinity",
  ],
  [
    createBeat({ time: {} }),
    "'beat.time' must be a finite number: current value is object",
  ],
  [
    { heartbeat: "end", result: 5 },
    "'result' must be an object: current value is 5",
  ],
  [
    { heartbeat: "end", result: null },
    "'result' must be an object: current value is null",
  ],
  [
    { heartbeat: "end", error: null },
    "'error' must be a serialized error: current value is null",
  ],
  [
    { heartbeat: "end", error: {} },
    "'error' must be a serialized error: current value is object",
  ],
];

Deno.test("readThreadMessage() says what is wrong with a message", () => {
  for (const [message, expected] of BROKEN) {
    const error = assertThrows(() => readThreadMessage(message), TypeError);
    assertEquals(
      error.message,
      `Cannot read the message of a thread as ${expected}`,
    );
  }
});
