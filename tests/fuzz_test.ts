import { assert, assertEquals } from "@std/assert";
import { parse, type Settings, UsageError } from "../_cli.ts";
import { type MalformedMessage, subscribeHeartbeats } from "../nats.ts";
import type { Heartbeat } from "../worker.ts";
import { mulberry32 } from "./_help.ts";

/** `SEED=…` of a failure repeats it. */
const SEED = Number(Deno.env.get("SEED") ?? 1);
const COMMAND_LINES = 50_000;
const MESSAGES = 50_000;
/** The detail of messages as long as a broker takes by default, 1 MiB, and deeper than a stack. */
const GIANTS = [
  `"${"x".repeat(1_000_000)}"`,
  `${"[".repeat(500_000)}${"]".repeat(500_000)}`,
  `${'{"a":'.repeat(150_000)}1${"}".repeat(150_000)}`,
  "[".repeat(1_000_000),
];
const encoder = new TextEncoder();

function createDice(seed: number) {
  const random = mulberry32(seed);
  const below = (n: number) => Math.floor(n * random());
  const pick = <T>(from: ArrayLike<T>) => from[below(from.length)]!;
  const several = <T>(most: number, make: () => T) =>
    Array.from({ length: below(most + 1) }, make);
  return { below, pick, several, chance: (share: number) => random() < share };
}
type Dice = ReturnType<typeof createDice>;

const DEMO = ["interval", "work", "hang-after", "cpu"];
const VALUED = ["timeout", "runtime", "retries", ...DEMO.slice(0, 3)];
const SWITCHES = ["cpu", "quiet", "json", "help", "version"];
const FLAGS = [
  ...VALUED,
  ...SWITCHES,
  "no-cpu",
  "timeouts",
  "Timeout",
  "__proto__",
  "constructor",
  "toString",
  "_",
  "",
];
const VALUES = [
  "0",
  "1",
  "3s",
  "250ms",
  "1.5m",
  "1h",
  "none",
  "-5s",
  "1e3",
  "1e999",
  "NaN",
  "Infinity",
  "0x10",
  "s",
  ".",
  ".5s",
  "5.s",
  "1 s",
  "3S",
  "597h",
  "9007199254740993",
  "99999999999999999999",
  "true",
  "false",
  "",
  " ",
  "-",
  "--",
  "=",
  "\n",
  "1\r\n2",
  "é\0",
  "٣s",
  "-1",
];

/** A word of a command line: right, of the grammar, beside it, or noise. */
function createWord(
  { pick, chance, several, below }: Dice,
  noise: boolean,
): string {
  if (!noise && chance(0.9)) {
    return chance(0.5)
      ? pick(["--cpu", "--json", "--quiet"])
      : `--${pick(FLAGS.slice(0, 6))}=${pick(VALUES.slice(0, 6))}`;
  }
  if (chance(0.45)) {
    const flag = `${pick(["--", "--", "--", "-", "---", ""])}${pick(FLAGS)}`;
    return chance(0.5) ? flag : `${flag}=${pick(VALUES)}`;
  }
  if (chance(0.8)) return pick(VALUES);
  return String.fromCharCode(...several(8, () => below(0x250)));
}

/** What was said, word by word; nothing if it should not have been understood. */
function readWords(words: string[]) {
  const cut = words.indexOf("--");
  const rest = cut < 0 ? [...words] : words.slice(0, cut);
  const command = cut < 0 ? [] : words.slice(cut + 1);
  const said = new Set<string>();
  let piped = false;
  while (rest.length > 0) {
    const word = rest.shift()!;
    const [, flag = "", value] = /^--([^=]*)(?:=([^]*))?$/.exec(word) ?? [];
    if (VALUED.includes(flag)) {
      if (!(value ?? rest.shift())) return;
    } else if (SWITCHES.includes(flag)) {
      if (value !== undefined) return;
    } else if (word === "-" && !piped && cut < 0) {
      piped = true;
      continue;
    } else return;
    said.add(flag);
  }
  if (cut >= 0 && !command[0]) return;
  const mode = cut >= 0 ? "command" : piped ? "pipe" : "demo";
  const elsewhere = mode === "demo" ? [] : [...DEMO];
  if (mode === "pipe") elsewhere.push("retries");
  if (elsewhere.some((flag) => said.has(flag))) return;
  return { mode, command, said };
}

function assertSettings(settings: Settings, words: string[], line: string) {
  const { mode, command, retries, hangAfter } = settings;
  const read = readWords(words);
  if (!read) throw new Error(`${line}: understood`);
  assertEquals({ mode, command }, { mode: read.mode, command: read.command });
  for (const flag of ["cpu", "quiet", "json"] as const) {
    assertEquals(settings[flag], read.said.has(flag), `${line}: ${flag}`);
  }
  for (const key of ["timeout", "runtime"] as const) {
    assert(settings[key] > 0, `${line}: ${key} is ${settings[key]}`);
  }
  for (const key of ["interval", "work"] as const) {
    const value = settings[key];
    assert(value > 0 && value < 2 ** 31, `${line}: ${key} is ${value}`);
  }
  assert(Number.isSafeInteger(retries) && retries >= 0, line);
  assert(
    hangAfter === Infinity || Number.isSafeInteger(hangAfter) && hangAfter >= 0,
    line,
  );
}

Deno.test("the command line is either understood or refused with a word on what is accepted, whatever it is", () => {
  const dice = createDice(SEED);
  const outcomes = { settings: 0, text: 0, refused: 0 };
  for (let n = 0; n < COMMAND_LINES; n++) {
    const noise = dice.chance(0.5);
    const words = dice.several(5, () => createWord(dice, noise));
    const line = `SEED=${SEED} no. ${n}: ${JSON.stringify(words)}`;
    try {
      const parsed = parse([...words]);
      if (typeof parsed === "string") outcomes.text++;
      else {
        assertSettings(parsed, words, line);
        outcomes.settings++;
      }
    } catch (error) {
      if (!(error instanceof UsageError)) {
        throw new Error(line, { cause: error });
      }
      // it says what was wrong, what was given, and what is accepted, in one line
      assert(!/[\r\n]/.test(error.message), `${line}: ${error.message}`);
      assert(
        /'.*'|^--|after --/.test(error.message) &&
          /: (it takes|the options are|it goes with|a command is given|give one)|only$/
            .test(error.message),
        `${line}: ${error.message}`,
      );
      // what is quoted was given, as it was given
      const given = words.flatMap((word) => [word, word.replace(/^[^]*?=/, "")])
        .map((word) => `'${word.replaceAll(/[\r\n]/g, " ")}'`);
      assert(
        !error.message.includes("'") ||
          ["''", ...given].some((quoted) => error.message.includes(quoted)),
        `${line}: ${error.message}`,
      );
      outcomes.refused++;
    }
  }
  for (const [what, count] of Object.entries(outcomes)) {
    assert(count > 100, `${what}: ${count}`);
  }
});

/** A message: a heartbeat, one that was damaged, or noise. */
function createMessage(dice: Dice): Uint8Array<ArrayBuffer> {
  const { below, pick, chance, several } = dice;
  const values: (() => string)[] = [
    () => String(below(100)),
    () => pick(["1e400", "-0", "1.5", "9007199254740993", "null", "true"]),
    () =>
      JSON.stringify(String.fromCharCode(...several(9, () => below(65_536)))),
    () => '"\\ud800"',
    () => "[".repeat(below(2_000)),
    () => `${"[".repeat(500)}${"]".repeat(500)}`,
    () => JSON.stringify("x".repeat(below(10_000))),
    () => '{"__proto__":{"polluted":1}}',
  ];
  const keys = ["worker", "seq", "time", "detail", "__proto__", "constructor"];
  const fields = [
    ["worker", `"w${below(5)}"`],
    ["seq", String(below(100))],
    ["time", String(below(100))],
  ];
  if (chance(0.5)) fields.push(["detail", pick(values)()]);
  for (let more = below(3); more > 0; more--) {
    fields.splice(below(4), below(2), [pick(keys), pick(values)()]);
  }
  const text = `{${
    fields.map(([key, value]) => `"${key}":${value}`).join(",")
  }}`;
  const bytes = encoder.encode(text);
  if (chance(0.3)) {
    for (let more = below(4); more >= 0; more--) {
      bytes[below(bytes.length)] = below(256);
    }
  }
  if (chance(0.1)) return bytes.slice(0, below(bytes.length));
  if (chance(0.02)) return encoder.encode(pick(values)());
  if (chance(0.02)) {
    return encoder.encode(pick(["null", "[]", "[[[", '"x"', "{}"]));
  }
  if (chance(0.1)) return Uint8Array.from(several(50, () => below(256)));
  return bytes;
}

/** What the bytes say, if they are JSON in UTF-8. */
function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch {
    return undefined;
  }
}

/** Whether a value that was JSON has what a heartbeat has, of its own. */
function isHeartbeat(value: unknown): value is Heartbeat {
  if (typeof value !== "object" || value === null) return false;
  const own = new Map(Object.entries(value));
  return typeof own.get("worker") === "string" &&
    Number.isSafeInteger(own.get("seq")) && Number.isFinite(own.get("time"));
}

Deno.test("a message over NATS is either a heartbeat or told as malformed, whatever it is", async () => {
  const dice = createDice(SEED);
  let hear!: (data: Uint8Array) => void;
  const malformed: MalformedMessage[] = [];
  const reader = subscribeHeartbeats(
    {
      publish() {},
      subscribe(subject, { callback }) {
        hear = (data) => callback(null, { subject, data });
        return { closed: new Promise(() => {}), unsubscribe() {} };
      },
      async *status() {},
      isClosed: () => false,
      isDraining: () => false,
    },
    "heartbeats.>",
    {
      onMalformed: (message) => void malformed.push(message),
    },
  ).getReader();
  let [good, bad] = [0, 0];
  let read = reader.read();
  const messages = [
    ...GIANTS.map((detail) =>
      encoder.encode(`{"worker":"w","seq":1,"time":1,"detail":${detail}}`)
    ),
    ...Array.from({ length: MESSAGES }, () => createMessage(dice)),
  ];
  for (const [n, data] of messages.entries()) {
    const line = `SEED=${SEED} no. ${n}: ${
      new TextDecoder().decode(data.subarray(0, 20_000))
    }`;
    const value = readJson(data);
    const before = malformed.length;
    hear(data);
    if (malformed.length > before) {
      bad++;
      const { count, subject, problem, data: told } = malformed.at(-1)!;
      assertEquals([count, subject], [bad, "heartbeats.>"], line);
      assert(told === data && problem.length > 0, line);
      assert(!isHeartbeat(value), `${line}: told as malformed`);
      // what is JSON is told by what it lacks
      const field = /^'(worker|seq|time)' is no (string|integer|number)$/;
      assertEquals(value !== undefined, field.test(problem), problem);
      continue;
    }
    good++;
    if (!isHeartbeat(value)) throw new Error(`${line}: understood`);
    const { value: batch } = await read;
    read = reader.read();
    assertEquals(batch!.length, 1, line);
    const [beat] = batch!;
    assertEquals(Object.getPrototypeOf(beat), Object.prototype, line);
    const { worker, seq, time } = value;
    assertEquals(
      [beat!.worker, beat!.seq, beat!.time, typeof beat!.detail],
      [worker, seq, time, typeof value.detail],
      line,
    );
    assertEquals(
      Object.keys(beat!),
      ["worker", "seq", "time", ...("detail" in value ? ["detail"] : [])],
      line,
    );
  }
  assertEquals(good + bad, messages.length);
  assert(good > 5_000 && bad > 5_000, `${good} and ${bad}`);
  assertEquals("polluted" in {}, false);
  await reader.cancel();
});
