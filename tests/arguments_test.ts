// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { startCommand } from "../command.ts";
import { FleetMonitor } from "../fleet.ts";
import { guardFetch } from "../fetch.ts";
import { SharedFleet, WatchGroup } from "../group.ts";
import { createHealthHandler } from "../health.ts";
import { HeartbeatGaps, HeartbeatMonitor, watch } from "../monitor.ts";
import {
  escapeText,
  type NatsConnection,
  publishHeartbeats,
  subscribeHeartbeats,
  watchFleet,
} from "../nats.ts";
import { SqliteStore } from "../sqlite.ts";
import { natsStore, persistFleet } from "../store.ts";
import { supervise } from "../supervisor.ts";
import { instrument } from "../telemetry.ts";
import { serveThread, startThread } from "../thread.ts";
import { Watchdog, withHeartbeat } from "../watchdog.ts";
import { startWorker } from "../worker.ts";

/** A call with what is wrong, and the error that its docs name. */
type Row = [args: unknown[], kind: ErrorConstructor, message: string];

/** What cannot be said as a string, or compared, or throws when that is tried. */
const ODD = [
  Symbol("odd"),
  Object.create(null),
  {
    toString() {
      throw new RangeError("of the caller");
    },
  },
];

function show(value: unknown) {
  if (typeof value === "string") return JSON.stringify(value);
  return ODD.slice(1).includes(value) ? "object" : String(value);
}

/** Rows for one option, which `args` puts where it belongs. */
function option(
  args: (value: unknown) => unknown[],
  name: string,
  accepted: string,
  values: { wrongKinds: unknown[]; outOfRange?: unknown[]; odd?: unknown[] },
): Row[] {
  const { wrongKinds, outOfRange = [], odd = wrongKinds.length ? ODD : [] } =
    values;
  const row = (kind: ErrorConstructor) => (value: unknown): Row => [
    args(value),
    kind,
    `'${name}' must be ${accepted}: current value is ${show(value)}`,
  ];
  return [
    ...wrongKinds.map(row(TypeError)),
    ...odd.map(row(TypeError)),
    ...outOfRange.map(row(RangeError)),
  ];
}

const NO_NUMBERS = ["1", null, {}, true, 1n];
const DURATION = {
  wrongKinds: NO_NUMBERS,
  outOfRange: [0, -1, NaN, -Infinity],
};
const FUNCTION = { wrongKinds: [null, 1, "x", {}] };
const STRING = { wrongKinds: [null, 1, {}] };
const OBJECT = {
  wrongKinds: [null, 5, "x", ["x"], () => {}],
  odd: [ODD[0]],
};
const SIGNAL = { wrongKinds: [null, {}, new AbortController()] };

/** Rows for options of one kind. */
function options(
  args: (options: object) => unknown[],
  names: string[],
  accepted: string,
  values: { wrongKinds: unknown[]; outOfRange?: unknown[]; odd?: unknown[] },
) {
  return names.flatMap((name) => {
    const [group, key] = name.split(".") as [string, string?];
    return option(
      (value) => args({ [group]: key ? { [key]: value } : value }),
      name,
      accepted,
      values,
    );
  });
}

const positive = "a positive number";
const free = () => new ReadableStream();
const locked = free();
locked.getReader();
const stream = "an unlocked ReadableStream";
const connection: NatsConnection = {
  publish() {},
  subscribe: () => ({ closed: Promise.resolve(), unsubscribe() {} }),
  async *status() {},
  isClosed: () => false,
  isDraining: () => false,
};

/** What a monitor takes, and all that hands it on. */
function monitorRows(args: (options: unknown) => unknown[]): Row[] {
  const given = (more: object) => args({ timeout: 1, ...more });
  const missing = `'timeout' must be ${positive}: current value is undefined`;
  return [
    ...[undefined, null, {}].map((none): Row => [
      args(none),
      TypeError,
      missing,
    ]),
    ...options(given, ["timeout", "firstTimeout"], positive, DURATION),
    ...options(given, ["isHeartbeat", "onSilence"], "a function", FUNCTION),
    ...options(given, ["warnAfter"], positive, DURATION),
    ...options(given, ["name"], "a string", STRING),
    ...options(given, ["observe"], "a boolean or a HeartbeatGaps", {
      wrongKinds: [null, 1, "x", {}],
    }),
  ];
}

/** The options of a watchdog, and of what makes one. */
function watchdogRows(args: (options: unknown) => unknown[]): Row[] {
  const given = (more: object) => args({ timeout: 1, ...more });
  return [
    ...[undefined, null, {}].map((none): Row => [
      args(none),
      TypeError,
      `'timeout' must be ${positive}: current value is undefined`,
    ]),
    ...options(
      given,
      ["timeout", "totalTimeout", "warnAfter"],
      positive,
      DURATION,
    ),
    ...options(given, ["onSilence"], "a function", FUNCTION),
    ...options(given, ["signal"], "an AbortSignal", SIGNAL),
    ...options(given, ["name"], "a string", STRING),
  ];
}

function healthRows(args: (options: object) => unknown[]): Row[] {
  const path =
    "a path as in a URL that begins with a slash and does not end with one";
  return [
    ...options(args, ["events"], stream, { wrongKinds: [null, 1, {}] }),
    ...options(args, ["authorize"], "a function", FUNCTION),
    ...options(args, ["workerLabels"], "a boolean", {
      wrongKinds: [null, 1, "true", {}],
    }),
    ...options(args, ["basePath"], path, {
      wrongKinds: [null, 1, {}],
      outOfRange: [
        ...["/", "health", "/health/", "health/", "/a/../b", "/.", "/\n"],
        // these are never the path of a request
        ...[
          "/a b",
          "/é",
          "/a?b",
          "/a#b",
          "/a\\b",
          "http://localhost/a",
          ":99999",
        ],
      ],
    }),
    ...options(args, ["essential"], "names of workers, or a function", {
      wrongKinds: [null, 1, "alpha", {}, ["alpha", 1]],
    }),
  ];
}

function natsRows(): Row[] {
  const subject =
    "a subject without white space or empty parts, with '>' at its end only";
  return [
    ...option((given) => [given, "a"], "connection", "a NATS connection", {
      wrongKinds: [undefined, null, {}, { ...connection, status: 1 }],
    }),
    ...option((given) => [connection, given], "subject", "a string", STRING),
    ...option((given) => [connection, given], "subject", subject, {
      wrongKinds: [],
      outOfRange: ["", " ", "a b", "a\n", ".", ".a", "a.", "a..b", "a.>.b"],
    }),
  ];
}

/** When a fleet doubts itself. */
function sightRows(given: (more: object) => unknown[]): Row[] {
  return [
    ...options(given, ["blindAbove"], "a positive number, at most 1", {
      wrongKinds: NO_NUMBERS,
      outOfRange: [0, -1, 1.1, NaN, Infinity],
    }),
    ...options(given, ["blindFor"], positive, DURATION),
  ];
}

/** `watchFleet()` with a fleet that the caller has made. */
function givenFleetRows(): Row[] {
  const given = (more: object) => [connection, "a", { fleet, ...more }];
  const isNone =
    "a FleetMonitor or a SharedFleet, which gets no other heartbeats";
  const { writable } = fleet;
  return [
    ...options(given, ["fleet"], isNone, {
      wrongKinds: [null, 1, "x", {}, { ...fleet, writable }],
    }),
    ...options(given, ["blindAfter"], positive, DURATION),
    ...options(given, ["events"], stream, {
      wrongKinds: [null, 1, {}, []],
    }),
    [
      given({ timeout: undefined }),
      TypeError,
      `'blindAfter' must be ${positive}: current value is undefined`,
    ],
    [
      given({ events: locked, blindAfter: 1 }),
      TypeError,
      `'events' must be ${stream}: current value is locked`,
    ],
  ];
}

function sharedRows(): Row[] {
  const group = Object.create(WatchGroup.prototype);
  const given = (more: object) => [group, { timeout: 1, ...more }];
  return [
    ...option((given) => [given, { timeout: 1 }], "group", "a WatchGroup", {
      wrongKinds: [undefined, null, {}, WatchGroup],
      odd: [],
    }),
    ...options((given) => [group, given], ["timeout"], positive, DURATION),
    ...sightRows(given),
    ...options(given, ["store", "onError"], "a function", FUNCTION),
  ];
}

/** An object with these methods. */
function withMethods(...names: string[]) {
  return Object.fromEntries(names.map((name) => [name, () => {}]));
}

function persistRows(): Row[] {
  const expect = () => {};
  const fleet = { readable: free(), expect };
  const store = withMethods("load", "save", "remove", "acknowledge");
  const none = [undefined, null, {}];
  return [
    ...option((given) => [given, store], "fleet", "a FleetMonitor", {
      wrongKinds: none,
    }),
    ...option(
      (readable) => [{ expect, readable }, store],
      "fleet.readable",
      stream,
      { wrongKinds: none },
    ),
    ...option((given) => [fleet, given], "store", "a FleetStore", {
      wrongKinds: [...none, { ...store, save: 1 }],
    }),
    ...option((given) => [fleet, store, given], "options", "an object", OBJECT),
    ...options(
      (given) => [fleet, store, given],
      ["storeTimeout"],
      positive,
      DURATION,
    ),
    ...options(
      (given) => [fleet, store, given],
      ["onError"],
      "a function",
      FUNCTION,
    ),
  ];
}

function natsStoreRows(): Row[] {
  const bucket = withMethods(
    ...["create", "update", "put", "get", "delete", "history"],
  );
  return [
    ...option((given) => [given], "bucket", "a key-value bucket", {
      wrongKinds: [undefined, null, {}, { ...bucket, history: 1 }],
    }),
    ...option((given) => [bucket, given], "prefix", "a string", STRING),
    ...option(
      (given) => [bucket, given],
      "prefix",
      "empty, or parts of letters, digits, '-' and '_' that each end with a dot",
      { wrongKinds: [], outOfRange: ["a", ".", "a..", "a b.", "*."] },
    ),
  ];
}

function groupRows(): Row[] {
  const bucket = withMethods(
    ...["create", "update", "put", "get", "delete", "keys"],
  );
  const given = (more: object) => [bucket, { lease: 3, ...more }];
  return [
    ...option((given) => [given, {}], "bucket", "a key-value bucket", {
      wrongKinds: [undefined, null, {}, { ...bucket, keys: 1 }],
    }),
    ...option((given) => [bucket, given], "options", "an object", OBJECT),
    ...options(given, ["lease"], "a finite positive number", {
      wrongKinds: [...NO_NUMBERS, undefined],
      outOfRange: [0, -1, NaN, Infinity],
    }),
    ...options(given, ["partitions"], "a positive integer", {
      wrongKinds: NO_NUMBERS,
      outOfRange: [0, -1, 0.5, NaN, Infinity],
    }),
    ...options(
      given,
      ["renewEvery"],
      "a positive number, at most a third of 'lease'",
      { wrongKinds: NO_NUMBERS, outOfRange: [0, -1, 1.1, NaN, Infinity] },
    ),
    ...options(given, ["name"], "a string", STRING),
    ...options(given, ["name"], "made of letters, digits, '-' and '_'", {
      wrongKinds: [],
      outOfRange: ["", "a.b", "a b", "a>", "*"],
    }),
    ...options(given, ["onChange", "onError"], "a function", FUNCTION),
  ];
}

const work = () => [];
const fleet = new FleetMonitor({ timeout: 1 });

// deno-lint-ignore no-explicit-any
type Call = (...args: any[]) => unknown;

interface Entry {
  call: Call;
  /** What the messages say that cannot be done: its own action, and those of what it stands on. */
  actions: string[];
  rows: Row[];
}

const TABLE: Record<string, Entry> = {
  startWorker: {
    actions: ["start worker"],
    call: startWorker,
    rows: [
      ...option((given) => [given], "work", "a function", FUNCTION),
      ...option((given) => [work, given], "options", "an object", OBJECT),
      ...options((given) => [work, given], ["name"], "a string", STRING),
      ...options((given) => [work, given], ["interval"], positive, DURATION),
      ...options(
        (given) => [work, given],
        ["signal"],
        "an AbortSignal",
        SIGNAL,
      ),
    ],
  },
  HeartbeatMonitor: {
    actions: ["monitor"],
    call: (given) => new HeartbeatMonitor(given),
    rows: monitorRows((given) => [given]),
  },
  Watchdog: {
    actions: ["watch"],
    call: (given) => new Watchdog(given),
    rows: watchdogRows((options) => [options]),
  },
  withHeartbeat: {
    actions: ["watch"],
    call: withHeartbeat,
    rows: [
      ...option(
        (given) => [given, { timeout: 1 }],
        "work",
        "a function",
        FUNCTION,
      ),
      ...watchdogRows((options) => [() => {}, options]),
    ],
  },
  guardFetch: {
    actions: ["guard fetch"],
    call: guardFetch,
    rows: [
      ...option((given) => [given], "options", "an object", OBJECT),
      ...options(
        (given) => [{ timeout: 1, ...given }],
        [
          "timeout",
          "firstTimeout",
          "progressTimeout",
          "totalTimeout",
          "warnAfter",
        ],
        positive,
        DURATION,
      ),
      ...options(
        (given) => [{ timeout: 1, progressTimeout: 1, ...given }],
        ["isProgress", "onSilence", "fetch"],
        "a function",
        FUNCTION,
      ),
      ...options(
        (given) => [{ timeout: 1, ...given }],
        ["observe"],
        "a boolean",
        {
          wrongKinds: [null, 1, "true", {}],
        },
      ),
    ],
  },
  createHealthHandler: {
    actions: ["create health handler"],
    call: createHealthHandler,
    rows: [
      ...option((given) => [given], "fleet", "a fleet", {
        wrongKinds: [undefined, null, 1, {}],
        odd: [],
      }),
      ...option((given) => [[], given], "options", "an object", OBJECT),
      ...healthRows((given) => [[], { events: free(), ...given }]),
    ],
  },
  instrument: {
    actions: ["instrument"],
    call: instrument,
    rows: [
      ...option((given) => [given], "options", "an object", OBJECT),
      ...options((given) => [given], ["meter"], "a meter of OpenTelemetry", {
        wrongKinds: [null, 1, "x", {}],
      }),
      ...options((given) => [given], ["tracer"], "a tracer of OpenTelemetry", {
        wrongKinds: [null, 1, "x", {}],
      }),
      ...options((given) => [given], ["attributes"], "an object", OBJECT),
      ...option(
        (value) => [{ attributes: { source: value } }],
        "attributes.source",
        "a string, a finite number or a boolean",
        { wrongKinds: [undefined, null, NaN, Infinity, {}, [], () => {}] },
      ),
    ],
  },
  watch: {
    actions: ["watch", "monitor", "start worker"],
    call: watch,
    rows: [
      ...[undefined, null, {}, 5, Promise.resolve(), [].values()].map((
        none,
      ): Row => [
        [none, { timeout: 1 }],
        TypeError,
        `'work' must be a function, a worker or a ReadableStream: current value is ${none}`,
      ]),
      [
        [{ results: locked, heartbeats: free() }, { timeout: 1 }],
        TypeError,
        `'worker.results' must be ${stream}: current value is locked`,
      ],
      [
        [{ results: free(), heartbeats: locked }, { timeout: 1 }],
        TypeError,
        `'worker.heartbeats' must be ${stream}: current value is locked`,
      ],
      [
        [{ results: free(), heartbeats: 5 }, { timeout: 1 }],
        TypeError,
        `'worker.heartbeats' must be ${stream}: current value is 5`,
      ],
      ...monitorRows((given) => [startWorker(work), given]),
      ...monitorRows((given) => [work, given]),
      ...options(
        (given) => [work, { timeout: 1, ...given }],
        ["interval"],
        positive,
        DURATION,
      ),
      ...options(
        (given) => [work, { timeout: 1, ...given }],
        ["signal"],
        "an AbortSignal",
        SIGNAL,
      ),
      ...monitorRows((given) => [free(), given]),
      [
        [locked, { timeout: 1 }],
        TypeError,
        `'stream' must be ${stream}: current value is locked`,
      ],
    ],
  },
  supervise: {
    actions: ["supervise", "monitor"],
    call: supervise,
    rows: [
      ...option((given) => [given, {}], "start", "a function", FUNCTION),
      ...monitorRows((given) => [work, given]),
      ...superviseRows((given) => [work, { timeout: 1, ...given }]),
    ],
  },
  startThread: {
    actions: ["start thread"],
    call: startThread,
    rows: [
      ...option((given) => [given], "specifier", "an absolute URL", {
        wrongKinds: [undefined, null, 5, "", "./loop.ts"],
      }),
      ...option((given) => ["data:,", given], "options", "an object", OBJECT),
      ...options(
        (given) => ["data:,", given],
        ["interval", "stopTimeout"],
        positive,
        DURATION,
      ),
      ...options((given) => ["data:,", given], ["name"], "a string", STRING),
      ...options(
        (given) => ["data:,", given],
        ["signal"],
        "an AbortSignal",
        SIGNAL,
      ),
    ],
  },
  serveThread: {
    actions: ["serve thread"],
    call: serveThread,
    rows: [
      ...option((given) => [given], "work", "a function", FUNCTION),
      [
        [work],
        TypeError,
        "'globalThis.postMessage' must be a function, as it is in a Web Worker: current value is undefined",
      ],
    ],
  },
  startCommand: {
    actions: ["start command", "start worker"],
    call: startCommand,
    rows: [
      ...option((given) => [given], "command", "a string", STRING),
      ...option((given) => ["x", given], "options", "an object", OBJECT),
      ...options((given) => ["x", given], ["args"], "an array of strings", {
        wrongKinds: ["abc", null, {}, [5], ["a", null], [["a"]]],
      }),
      ...options((given) => ["x", given], ["cwd"], "a string", STRING),
      ...options((given) => ["x", given], ["env"], "an object of strings", {
        wrongKinds: ["abc", null, 5, { A: 5 }, { A: "a", B: null }],
        odd: [ODD[0], ODD[2]],
      }),
      ...options(
        (given) => ["x", given],
        ["stdin"],
        `"inherit", "null" or ${stream}`,
        { wrongKinds: ["piped", null, 5] },
      ),
      [
        ["x", { stdin: locked }],
        TypeError,
        `'stdin' must be "inherit", "null" or ${stream}: current value is locked`,
      ],
      ...options((given) => ["x", given], ["killSignal"], "a string", {
        wrongKinds: [null, 15],
      }),
      ...options(
        (given) => ["x", given],
        ["killAfter", "interval"],
        positive,
        DURATION,
      ),
      ...options((given) => ["x", given], ["name"], "a string", STRING),
      ...options((given) => ["x", given], ["signal"], "an AbortSignal", SIGNAL),
    ],
  },
  FleetMonitor: {
    actions: ["watch fleet"],
    call: (given) => new FleetMonitor(given),
    rows: [
      ...[undefined, null, {}].map((none): Row => [
        [none],
        TypeError,
        `'timeout' must be ${positive}: current value is undefined`,
      ]),
      ...options(
        (given) => [{ timeout: 1, ...given }],
        ["timeout", "forgetAfter"],
        positive,
        DURATION,
      ),
      ...options(
        (given) => [{ timeout: 1, ...given }],
        ["resolution"],
        "a finite positive number",
        { ...DURATION, outOfRange: [...DURATION.outOfRange, Infinity] },
      ),
      ...options(
        (given) => [{ timeout: 1, ...given }],
        ["maxWorkers", "maxNameLength"],
        "a positive integer",
        { ...DURATION, outOfRange: [...DURATION.outOfRange, 1.5] },
      ),
      ...sightRows((given) => [{ timeout: 1, ...given }]),
    ],
  },
  "HeartbeatGaps.record": {
    actions: ["record gap"],
    call: (gap) => new HeartbeatGaps().record(gap),
    rows: option((given) => [given], "gap", "a finite number, at least 0", {
      wrongKinds: [...NO_NUMBERS, undefined],
      outOfRange: [-1, NaN, Infinity],
    }),
  },
  "HeartbeatGaps.recordFirst": {
    actions: ["record gap"],
    call: (gap) => new HeartbeatGaps().recordFirst(gap),
    rows: option((given) => [given], "gap", "a finite number, at least 0", {
      wrongKinds: [...NO_NUMBERS, undefined],
      outOfRange: [-1, NaN, Infinity],
    }),
  },
  "HeartbeatGaps.quantile": {
    actions: ["find quantile"],
    call: (share) => new HeartbeatGaps().quantile(share),
    rows: option((given) => [given], "share", "a number from 0 to 1", {
      wrongKinds: [...NO_NUMBERS, undefined],
      outOfRange: [-1, NaN, 1.1],
    }),
  },
  "HeartbeatGaps.suggestTimeout": {
    actions: ["suggest timeout"],
    call: (safety) => new HeartbeatGaps().suggestTimeout(safety),
    rows: option((given) => [given], "safety", positive, DURATION),
  },
  WatchGroup: {
    actions: ["join group"],
    call: (bucket, given) => new WatchGroup(bucket, given),
    rows: groupRows(),
  },
  "WatchGroup.holds": {
    actions: ["find partition"],
    call: (worker) => WatchGroup.prototype.holds(worker),
    rows: option((given) => [given], "worker", "a string", STRING),
  },
  "WatchGroup.getPartition": {
    actions: ["find partition"],
    call: (worker) => WatchGroup.prototype.getPartition(worker),
    rows: option((given) => [given], "worker", "a string", STRING),
  },
  "WatchGroup.observe": {
    actions: ["observe group"],
    call: (listener) => WatchGroup.prototype.observe(listener),
    rows: option((given) => [given], "listener", "a function", FUNCTION),
  },
  SharedFleet: {
    actions: ["share fleet", "watch fleet"],
    call: (group, given) => new SharedFleet(group, given),
    rows: sharedRows(),
  },
  persistFleet: {
    actions: ["persist fleet"],
    call: persistFleet,
    rows: persistRows(),
  },
  SqliteStore: {
    actions: ["open store"],
    call: (path) => new SqliteStore(path),
    rows: [
      ...option((given) => [given], "path", "a string", STRING),
      ...option((given) => [given], "path", "not empty", {
        wrongKinds: [],
        outOfRange: [""],
      }),
    ],
  },
  natsStore: {
    actions: ["make store"],
    call: natsStore,
    rows: natsStoreRows(),
  },
  "FleetMonitor.beat": {
    actions: ["take heartbeat"],
    call: (worker) => fleet.beat(worker),
    rows: option((given) => [given], "worker", "a string", STRING),
  },
  "FleetMonitor.handle": {
    actions: ["make handle"],
    call: (worker) => fleet.handle(worker),
    rows: option((given) => [given], "worker", "a string", STRING),
  },
  "FleetMonitor.expect": {
    actions: ["expect workers"],
    call: (workers) => fleet.expect(workers),
    rows: [
      ...option((given) => [given], "workers", "an iterable of strings", {
        wrongKinds: [undefined, null, "abc", 5],
      }),
      ...option((given) => [["alpha", given]], "worker", "a string", STRING),
    ],
  },
  publishHeartbeats: {
    actions: ["publish heartbeats"],
    call: publishHeartbeats,
    rows: [
      ...natsRows(),
      ...option(
        (given) => [connection, "a", given],
        "options",
        "an object",
        OBJECT,
      ),
      ...options(
        (given) => [connection, "a", given],
        ["onDropped"],
        "a function",
        FUNCTION,
      ),
      ...option(
        (given) => [connection, given],
        "subject",
        "a subject without wildcards",
        { wrongKinds: [], outOfRange: ["*", "a.*", "a.>", ">", "a.*.b"] },
      ),
    ],
  },
  watchFleet: {
    actions: ["watch fleet", "subscribe to heartbeats"],
    call: (connection, subject, given) =>
      watchFleet(connection as never, subject as never, {
        timeout: 1,
        ...given as object,
      }),
    rows: [
      ...natsRows(),
      ...options(
        (given) => [connection, "a", given],
        ["timeout", "forgetAfter", "blindAfter", "maxDetailSize"],
        positive,
        DURATION,
      ),
      ...options(
        (given) => [connection, "a", given],
        ["onMalformed", "onDropped", "workerOf"],
        "a function",
        FUNCTION,
      ),
      ...givenFleetRows(),
      ...sightRows((given) => [connection, "a", given]),
    ],
  },
  escapeText: {
    call: escapeText,
    actions: ["escape text"],
    rows: option((given) => [given], "text", "a string", STRING),
  },
  subscribeHeartbeats: {
    actions: ["subscribe to heartbeats"],
    call: subscribeHeartbeats,
    rows: [
      ...natsRows(),
      ...option(
        (given) => [connection, "a", given],
        "options",
        "an object",
        OBJECT,
      ),
      ...options(
        (given) => [connection, "a", given],
        ["queue"],
        "a string",
        STRING,
      ),
      ...options(
        (given) => [connection, "a", given],
        ["queue"],
        "a name, not empty and without white space",
        { wrongKinds: [], outOfRange: ["", "a b", "a\r\nPING"] },
      ),
      ...options(
        (given) => [connection, "a", given],
        ["onMalformed", "onDropped", "workerOf"],
        "a function",
        FUNCTION,
      ),
      ...options(
        (given) => [connection, "a", given],
        ["maxDetailSize"],
        positive,
        DURATION,
      ),
    ],
  },
};

function superviseRows(args: (options: object) => unknown[]): Row[] {
  return [
    ...options(args, ["within", "stopTimeout", "interval"], positive, DURATION),
    ...options(
      args,
      ["maxRestarts"],
      "a whole number or Infinity, at least 0",
      { wrongKinds: NO_NUMBERS, outOfRange: [-1, 0.5, NaN, -Infinity] },
    ),
    ...options(args, ["backoff"], "an object", OBJECT),
    ...options(args, ["backoff.min"], "a finite number, at least 0", {
      wrongKinds: NO_NUMBERS,
      outOfRange: [-1, NaN, Infinity],
    }),
    ...options(args, ["backoff.max"], "a number, at least 'backoff.min'", {
      wrongKinds: NO_NUMBERS,
      outOfRange: [99, -1, NaN],
    }),
    ...options(args, ["backoff.factor"], "a number, at least 1", {
      wrongKinds: NO_NUMBERS,
      outOfRange: [0.9, 0, NaN],
    }),
    ...options(args, ["backoff.jitter"], "a number from 0 to 1", {
      wrongKinds: NO_NUMBERS,
      outOfRange: [-0.1, 1.1, NaN],
    }),
    ...options(args, ["shouldRestart", "onEvent"], "a function", FUNCTION),
    ...options(args, ["signal"], "an AbortSignal", SIGNAL),
    ...options(args, ["name"], "a string", STRING),
  ];
}

/** What takes no argument that could be wrong, or holds data as it is given. */
const TAKES_ALL = [
  "CommandError",
  "HeartbeatTimeoutError",
  "RestartLimitError",
  "HeartbeatGaps",
  "FleetMonitor.pause",
  "FleetMonitor.remove",
  "FleetMonitor.resume",
  "SharedFleet.pause",
  "SqliteStore.acknowledge",
  "SqliteStore.close",
  "SqliteStore.load",
  "SqliteStore.remove",
  "SqliteStore.save",
  "SharedFleet.resume",
  "WatchGroup.holdsPartition",
  "WatchGroup.leave",
  "Watchdog.beat",
  "Watchdog.stop",
];

async function refusal(run: () => unknown, message: string): Promise<Error> {
  try {
    await run();
  } catch (error) {
    return error as Error;
  }
  throw new Error(`Not refused: ${message}`);
}

for (const [name, { call, actions, rows }] of Object.entries(TABLE)) {
  Deno.test(`${name} answers wrong kinds and ranges with the error that its docs name`, async () => {
    const seen = new Set<string>();
    for (const [args, kind, expected] of rows) {
      const { name, message } = await refusal(() => call(...args), expected);
      assertEquals(name, kind.name, message);
      const action = actions.find((action) =>
        message === `Cannot ${action} as ${expected}`
      );
      if (!action) throw new Error(`${message}, instead of … ${expected}`);
      seen.add(action);
    }
    assertEquals([...seen].sort(), [...actions].sort());
    assertEquals(fleet.size, 0);
  });
}

Deno.test("every exported function, class and method is in the table", async () => {
  const names = new Set<string>();
  for (const file of Object.values(config.exports)) {
    const module: Record<string, unknown> = await import(`.${file}`);
    for (const [name, value] of Object.entries(module)) {
      if (typeof value !== "function") continue;
      names.add(name);
      const { prototype = {} } = value as { prototype?: object };
      const members = Object.getOwnPropertyDescriptors(prototype);
      for (const [member, { value }] of Object.entries(members)) {
        if (member === "constructor" || typeof value !== "function") continue;
        names.add(`${name}.${member}`);
      }
    }
  }
  assertEquals([...names].sort(), [...Object.keys(TABLE), ...TAKES_ALL].sort());
});

/** What the docs of a function, a constructor or a method say. */
function docsOf(name: string, source: string): string {
  const [, owner, method] = /^(\w+)(?:\.(\w+))?$/.exec(name)!;
  const start = source.search(
    RegExp(`^export (async function|function|class) ${owner}\\b`, "m"),
  );
  const isClass = source.startsWith("export class", start);
  const at = isClass
    ? start +
      source.slice(start).search(
        RegExp(`^  ${method ?? "constructor"}\\(`, "m"),
      )
    : start;
  const before = source.slice(0, at);
  return before.slice(before.lastIndexOf("/**"));
}

Deno.test("the kinds of errors in the table are those that the docs name", async () => {
  // what is public may stand in a private part
  const root = new URL("../", import.meta.url);
  const sources: string[] = [];
  for await (const { name } of Deno.readDir(root)) {
    if (!name.endsWith(".ts")) continue;
    sources.push(await Deno.readTextFile(new URL(name, root)));
  }
  for (const [name, { rows }] of Object.entries(TABLE)) {
    const owner = RegExp(
      `^export (async function|function|class) ${name.split(".")[0]}\\b`,
      "m",
    );
    const source = sources.find((source) => owner.test(source))!;
    const named = docsOf(name, source).matchAll(
      /@throws \{(TypeError|RangeError)\}/g,
    );
    const kinds = new Set(rows.map(([, kind]) => kind.name));
    assertEquals(
      [...named].map(([, kind]) => kind).sort(),
      [...kinds].sort(),
      name,
    );
  }
});
