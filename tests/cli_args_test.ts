// Copyright 2026 the heartbeat authors. MIT license.

import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { parseArguments, type Settings } from "../_cli_args.ts";
import { UsageError } from "../_cli_values.ts";
import { forEachRow, parseLines, runCli } from "./_cli_process.ts";
import {
  DEFAULTS,
  type Given,
  GUARD_DEFAULTS,
  OPTIONS,
  RIGHT,
  WRONG,
} from "./_cli_settings.ts";

Deno.test("parseArguments() knows the three modes, and their defaults", () => {
  const rows: [string[], Settings][] = [
    [[], DEFAULTS],
    [["-"], { ...GUARD_DEFAULTS, mode: "pipe" }],
    [["--", "make", "--timeout", "-"], {
      ...GUARD_DEFAULTS,
      mode: "command",
      command: ["make", "--timeout", "-"],
    }],
    [["--json", "-", "--quiet", "--stats"], {
      ...GUARD_DEFAULTS,
      mode: "pipe",
      json: true,
      quiet: true,
      stats: true,
    }],
    [["--health", "8080"], {
      ...DEFAULTS,
      health: { hostname: "127.0.0.1", port: 8080 },
    }],
    [["--health=[::]:0", "--", "make"], {
      ...GUARD_DEFAULTS,
      mode: "command",
      command: ["make"],
      health: { hostname: "::", port: 0 },
    }],
    [["--cpu", "--hang-after=2", "--retries", "1"], {
      ...DEFAULTS,
      cpu: true,
      hangAfter: 2,
      restart: { ...DEFAULTS.restart, maxRestarts: 1 },
    }],
  ];
  for (const [args, expected] of rows) {
    assertEquals<unknown>(parseArguments(args), expected, args.join(" "));
  }
  for (const args of [["--help"], ["-h"], ["--version", "-h", "--quiet"]]) {
    assertEquals(parseArguments(args), "help");
  }
  assertEquals(parseArguments(["--version"]), "version");
});

const NETWORK = {
  url: "localhost:4222",
  name: "",
  subject: "heartbeats.>",
  exec: undefined,
  group: undefined,
  blindAbove: 0.5,
  creds: undefined,
  tls: { ca: undefined, cert: undefined, key: undefined },
};

Deno.test("parseArguments() knows where heartbeats are published or watched", () => {
  const rows: [string[], Partial<Settings>][] = [
    [["fleet", "--nats=localhost:4222"], {
      mode: "fleet",
      timeout: 3_000,
      runtime: Infinity,
      network: NETWORK,
    }],
    [
      [
        ...["--nats", "tls://a:1,b", "fleet", "--subject=a.*.>"],
        ...["--exec", "mail me", "--group", "ops-1"],
      ],
      {
        mode: "fleet",
        network: {
          ...{ ...NETWORK, url: "tls://a:1,b", subject: "a.*.>" },
          ...{ exec: "mail me", group: "ops-1" },
        },
      },
    ],
    [
      ["--nats=localhost:4222", "--name", "alpha", "--", "make", "fleet"],
      {
        mode: "command",
        command: ["make", "fleet"],
        network: { ...NETWORK, name: "alpha", subject: "heartbeats" },
      },
    ],
    [
      [
        ...["--nats=localhost:4222", "--name=a", "--subject=x.y", "--creds=c"],
        ...["--tls-ca=1", "--tls-cert=2", "--tls-key=3", "--", "make"],
      ],
      {
        network: {
          ...{ ...NETWORK, name: "a", subject: "x.y", creds: "c" },
          tls: { ca: "1", cert: "2", key: "3" },
        },
      },
    ],
  ];
  for (const [args, expected] of rows) {
    const settings = parseArguments(args) as Settings;
    const found = Object.entries(settings).filter(([key]) => key in expected);
    assertEquals<unknown>(Object.fromEntries(found), expected, args.join(" "));
  }
});

Deno.test("parseArguments() knows a fleet that is shown once", () => {
  const { once } = parseArguments(["fleet", "--nats=a", "--once"]) as Settings;
  assertEquals(once, true);
});

const DURATIONS: [string, number][] = [
  ["250ms", 250],
  ["0.5s", 500],
  [".01m", 600],
  ["1.5h", 5_400_000],
  ["300ms", 300],
  ["1m30s", 90_000],
  ["1h2m3s4ms", 3_723_004],
  ["2d", 172_800_000],
  ["1d.5h", 88_200_000],
  ["596h", 2_145_600_000],
  ["0", Infinity],
  ["0s", Infinity],
  ["none", Infinity],
];

Deno.test("parseArguments() takes durations in every form", () => {
  for (const [text, ms] of DURATIONS) {
    for (const args of [["--timeout", text], [`--timeout=${text}`]]) {
      const { timeout } = parseArguments(args) as Settings;
      assertEquals(timeout, ms, text);
    }
  }
});

const LISTED = OPTIONS.map((flag) => `--${flag}`).join(", ");
const LIMITED = ["250ms, 3s, 1.5m, 1h", "596h", "0 or none for no limit"];
const COUNTED = ["whole number"];

/** Arguments, and what the error must say. */
const REFUSED: [string[], ...string[]][] = [
  [["--bogus"], "'--bogus'", LISTED],
  [["--no-quiet"], "'--no-quiet'", LISTED],
  [["--no-cpu=1"], "'--no-cpu=1'", LISTED],
  [["--_=1"], "'--_=1'", LISTED],
  [["-x"], "'-x'", LISTED],
  [["--_=x"], "'--_=x'", LISTED],
  [["--timeout"], "--timeout", "''", ...LIMITED],
  [["--timeout="], "--timeout", "''", ...LIMITED],
  [["--timeout", "3 s"], "--timeout", "'3 s'", ...LIMITED],
  [["--timeout", "-5s"], "--timeout", "'-5s'", ...LIMITED],
  [["--timeout", "--json"], "--timeout", "'--json'", ...LIMITED],
  [["--retries", "-1", "--", "true"], "--retries", "'-1'", ...COUNTED],
  [["--timeout=-5s"], "--timeout", "'-5s'", ...LIMITED],
  [["--timeout", "597h"], "--timeout", "'597h'", ...LIMITED],
  [["--timeout=Infinity", "-"], "--timeout", "'Infinity'", ...LIMITED],
  [["--timeout=1e3", "--", "true"], "--timeout", "'1e3'", ...LIMITED],
  [["--runtime=5w"], "--runtime", "'5w'", ...LIMITED],
  [["--runtime=25d"], "--runtime", "'25d'", ...LIMITED],
  [["--runtime=30s1m"], "--runtime", "'30s1m'", ...LIMITED],
  [["--runtime=1s1s"], "--runtime", "'1s1s'", ...LIMITED],
  [["--runtime=1m30"], "--runtime", "'1m30'", ...LIMITED],
  [["--timeout", "90"], "--timeout", "'90'", ": 90s or 90ms?"],
  [["--timeout=90", "--", "true"], "--timeout", "'90'", ": 90s or 90ms?"],
  [["--interval", "0.5"], "--interval", "'0.5'", ": 0.5s or 0.5ms?"],
  [["--runtime", ".", "--", "true"], "--runtime", "'.'", ...LIMITED],
  [["--retries", "", "--", "true"], "--retries", "''", ...COUNTED],
  [["--interval", "0"], "--interval", "'0'", "1.5m", "more than 0"],
  [["--interval", "none"], "--interval", "'none'", "1.5m", "more than 0"],
  [["--work", "0s"], "--work", "'0s'", "1.5m", "more than 0"],
  [["--work", "soon"], "--work", "'soon'", "1.5m", "more than 0"],
  [["--hang-after", "1.5"], "--hang-after", "'1.5'", ...COUNTED],
  [["--hang-after=-1"], "--hang-after", "'-1'", ...COUNTED],
  [["--retries=x", "--", "true"], "--retries", "'x'", ...COUNTED],
  [["--quiet=1"], "--quiet", "'1'", "no value"],
  [["--json=false"], "--json", "'false'", "no value"],
  [["--help=me"], "--help", "'me'", "no value"],
  [["--version="], "--version", "''", "no value"],
  [["--quiet", "false"], "--quiet", "'false'", "no value"],
  [["-h", "false"], "--help", "'false'", "no value"],
  [["0x10"], "'0x10'"],
  [["--timeout", "1\n2"], "--timeout", "'1 2'", ...LIMITED],
  [["--"], "missing command after --", "heartbeat -- make test"],
  [["--quiet", "--", ""], "missing command after --"],
  [["make", "test"], "'make'", "heartbeat -- make test"],
  [["-", "make"], "'-'", "given after --"],
  [["make", "--", "true"], "'make'", "heartbeat -- make true"],
  [["--retries", "2", "-"], "--retries", "'2'", "-- COMMAND only"],
  [["--retries=2", "-"], "--retries", "'2'", "-- COMMAND only"],
  [["--interval=1s", "--", "true"], "--interval", "'1s'", "the demo only"],
  [["--work=1s", "-"], "--work", "'1s'", "the demo only"],
  [["--cpu", "-"], "--cpu", "the demo only"],
  [["--health=8080", "-"], "--health '8080'", "the demo and -- COMMAND only"],
  ...["", "x", "65536", "80 ", "localhost", "-1", ":80"].map((
    value,
  ): [string[], ...string[]] => [[`--health=${value}`], `'${value}'`]),
  [["--once"], "--once", "it goes with fleet only"],
  [["fleet", "--nats=a", "--once", "--timeout=0"], "--once needs a --timeout"],
  [["fleet", "--nats=a", "--once", "--group=a"], "does not go with --group"],
  [["--stats"], "--stats", "it goes with -- COMMAND and - only"],
  [["fleet"], "missing --nats URL", "localhost:4222"],
  [["fleet", "--", "make"], "unexpected argument 'fleet'"],
  [["fleet", "fleet", "--nats=a"], "unexpected argument 'fleet'"],
  [["--name=a", "--", "make"], "missing --nats URL", "--name"],
  [["--nats=a", "--", "make"], "missing --name NAME"],
  [["--nats="], "''", "must not be empty"],
  ...["a,", ",a", "a,,b", "a b", "a:x"].map((url): [string[], string] => [
    ["fleet", `--nats=${url}`],
    "invalid value for --nats: it takes a URL such as localhost:4222",
  ]),
  [["--creds", "", "--", "make"], "''", "must not be empty"],
  [
    ["--nats=a", "-"],
    "--nats is not for this use",
    "-- COMMAND and fleet only",
  ],
  [["--exec=x", "--", "make"], "--exec 'x'", "it goes with fleet only"],
  [["--runtime=5s", "fleet", "--nats=a"], "the demo and -- COMMAND and - only"],
  ...["a b", "a.b", "a*", ">", "a\tb"].map((name): [string[], ...string[]] => [
    ["--nats=a", `--name=${name}`, "--", "make"],
    "--name",
    "a name without spaces, dots, * and >",
  ]),
  ...["a.", ".a", "a..b", "a.>", "*", "a b"]
    .map((subject): [string[], ...string[]] => [
      ["--nats=a", "--name=a", `--subject=${subject}`, "--", "make"],
      "--subject",
      "parts with dots between",
    ]),
  ...["a.", ">.a", "a.>.b", "a*", "a b"]
    .map((subject): [string[], ...string[]] => [
      ["--nats=a", `--subject=${subject}`, "fleet"],
      "--subject",
      "heartbeats.>",
    ]),
  [["--group=x", "--", "make"], "--group 'x'", "it goes with fleet only"],
  [["fleet", "--group=x"], "missing --nats URL"],
  ...["1.5", "-1", "50%", "1e-3", "x"].map((
    share,
  ): [string[], ...string[]] => [
    ["fleet", "--nats=a", `--blind-above=${share}`],
    `invalid value '${share}' for --blind-above`,
    "a share such as 0.5, up to 1, and 0 or none for no limit",
  ]),
  ...["a b", "a.b", "*", "ü"].map((group): [string[], ...string[]] => [
    ["fleet", "--nats=a", `--group=${group}`],
    `invalid value '${group}' for --group`,
    "a name of letters, digits, - and _",
  ]),
  [["--hang-after=1", "--", "true"], "--hang-after", "'1'", "the demo only"],
];

/** Options that have no effect beside others, and what the error must say. */
const CONFLICTS: [string[], string][] = [
  ...["--retries=5", "--within=1h", "--backoff=1s"].map((
    option,
  ): [string[], string] => [
    ["--restart=never", option, "--", "true"],
    `${
      option.split("=")[0]
    } does not go with --restart never: nothing is started again`,
  ]),
  ...["on-stall", "on-failure", "always"].map((when): [string[], string] => [
    ["--retries=0", `--restart=${when}`, "--", "true"],
    `--restart ${when} does not go with --retries 0: nothing is started again, and without --retries there is no limit`,
  ]),
  ...["--within=1h", "--backoff=1s"].map((option): [string[], string] => [
    ["--retries=0", option, "--", "true"],
    `${
      option.split("=")[0]
    } does not go with --retries 0: nothing is started again`,
  ]),
  ...[[], ["--", "true"]].map((command): [string[], string] => [
    ["--timeout=none", "--retries=5", ...command],
    "--retries needs a --timeout: it restarts what was silent for too long",
  ]),
  [
    ["--timeout=0", "--restart=on-stall", "--", "true"],
    "--restart on-stall needs a --timeout: it restarts what was silent for too long",
  ],
  [
    ["fleet", "--nats=a", "--timeout=none", "--blind-above=0.3"],
    "--blind-above needs a --timeout: without one, nobody is silent for too long",
  ],
  [
    ["fleet", "--nats=a", "--tls-cert=c"],
    "missing --tls-key FILE: --tls-cert needs it",
  ],
  [
    ["--nats=a", "--name=a", "--tls-key=c", "--", "true"],
    "missing --tls-cert FILE: --tls-key needs it",
  ],
  [
    ["fleet", "--nats=b,u:secret@a", "--creds=c"],
    "--creds does not go with a user in --nats: give one of them",
  ],
];

/** Such options, where the other one changes that. */
const HARMLESS = [
  "--restart=never --timeout=none -- true",
  "--restart=never --retries=0 -- true",
  "--retries=0 --timeout=none -- true",
  "--retries=5 --restart=on-stall --within=none -- true",
  "--restart=on-failure --within=1h -- true",
  "--restart=on-failure --retries=5 --timeout=none -- true",
  "--timeout=none --grep=x --alive-if=cpu -- true",
  "--quiet --stats --summary -- true",
  "fleet --nats=u:secret@a --tls-cert=c --tls-key=c",
  "fleet --nats=a --creds=c --timeout=none --blind-above=none",
];

Deno.test("parseArguments() refuses an option that has no effect beside another one", () => {
  for (const [args, expected] of CONFLICTS) {
    const { message, code } = assertThrows(
      () => parseArguments(args),
      UsageError,
      undefined,
      args.join(" "),
    );
    assertEquals([message, code], [expected, 2]);
  }
  for (const args of HARMLESS) {
    assertEquals(typeof parseArguments(args.split(" ")), "object", args);
  }
});

Deno.test("parseArguments() refuses what it does not know, in one line", () => {
  for (const [args, ...parts] of REFUSED) {
    const { message } = assertThrows(
      () => parseArguments(args),
      UsageError,
      undefined,
      args.join(" "),
    );
    assertMatch(message, /^[^\r\n]+$/);
    for (const part of parts) {
      assert(message.includes(part), `${args}: no '${part}' in ${message}`);
    }
  }
});

/** What makes a mode of the arguments. */
const MODE_ARGS: Record<Settings["mode"], string[]> = {
  demo: [],
  command: ["--", "make"],
  pipe: ["-"],
  fleet: ["--nats=a", "fleet"],
  check: ["check", "file"],
};

function* inEachMode<T extends Given>(rows: readonly T[]) {
  for (const row of rows) {
    for (const mode of row.modes) {
      yield { ...row, mode, args: [...row.args, ...MODE_ARGS[mode]] };
    }
  }
}

Deno.test("parseArguments() knows the options of the guards", () => {
  for (const { mode, args, settings } of inEachMode(RIGHT)) {
    assertEquals<unknown>(parseArguments(args), {
      ...GUARD_DEFAULTS,
      mode,
      command: mode === "command" ? ["make"] : [],
      ...settings,
    }, args.join(" "));
  }
});

Deno.test("parseArguments() refuses the options of the guards in one line, without their secrets", () => {
  for (const { args, message } of inEachMode(WRONG)) {
    const error = assertThrows(() => parseArguments(args), UsageError);
    assertStringIncludes(error.message, message);
    assertMatch(error.message, /^(?!.*secret)[^\r\n]+$/);
  }
});

Deno.test("parseArguments() shows no password", () => {
  const url = "nats://alpha:secret@:x";
  for (
    const args of [
      ["fleet", `--nats=${url}`],
      [`--nats=${url}`, "-"],
      [`--nats=${url}`, "--", "make"],
    ]
  ) {
    const { message } = assertThrows(() => parseArguments(args), UsageError);
    assert(!message.includes("secret"), message);
  }
});

Deno.test("the command line says how its arguments are wrong, and exits with 2", async () => {
  const rows = ["--bogus", "--timeout=90", "--=", "make"]
    .map((flag) => REFUSED.find(([args]) => args[0] === flag) ?? [[flag]]);
  await forEachRow(
    [...rows, ...REFUSED.slice(-3)],
    async ([args, ...parts]) => {
      const { code, stdout, stderr } = await runCli(args as string[]);
      assertEquals([code, stdout], [2, ""], `${args}`);
      assertMatch(stderr, /^heartbeat: [^\n]+ \(see --help\)\n$/);
      for (const part of parts) assert(stderr.includes(part as string), stderr);
    },
  );
});

Deno.test("the command line hands the durations on", async () => {
  const args = ["--json", "--timeout", "1m30s", "--runtime", "50ms"];
  const { stdout, stderr } = await runCli(args);
  const [{ timeout, runtime }] = parseLines(stdout);
  assertEquals([timeout, runtime, stderr], [90_000, 50, ""]);
});

Deno.test("parseArguments() takes a share in every form", () => {
  for (
    const [text, share] of [
      ["0.25", 0.25],
      [".25", 0.25],
      ["1", 1],
      ["0", 1],
      ["0.0", 1],
      ["none", 1],
    ]
  ) {
    const args = ["fleet", "--nats=a", `--blind-above=${text}`];
    const { network } = parseArguments(args) as Settings;
    assertEquals(network!.blindAbove, share, `${text}`);
  }
});
