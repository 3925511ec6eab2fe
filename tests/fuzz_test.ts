import { assert, assertEquals } from "@std/assert";
import { parse, type Settings, UsageError } from "../_cli.ts";
import { type MalformedMessage, subscribeHeartbeats } from "../nats.ts";
import type { Heartbeat } from "../worker.ts";
import { mulberry32 } from "./_help.ts";

/** `SEED=…` of a failure repeats it. */
const SEED = Number(Deno.env.get("SEED") ?? 1);
const COMMAND_LINES = 50_000;
const MESSAGES = 50_000;

function createDice(seed: number) {
  const random = mulberry32(seed);
  const below = (n: number) => Math.floor(n * random());
  const pick = <T>(from: ArrayLike<T>) => from[below(from.length)]!;
  const several = <T>(most: number, make: () => T) =>
    Array.from({ length: below(most + 1) }, make);
  return { below, pick, several, chance: (share: number) => random() < share };
}
type Dice = ReturnType<typeof createDice>;

const FLAGS = [
  "timeout",
  "runtime",
  "retries",
  "interval",
  "work",
  "hang-after",
  "cpu",
  "quiet",
  "json",
  "help",
  "version",
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

function assertSettings(settings: Settings, line: string) {
  const { mode, command, retries, hangAfter } = settings;
  assert(["demo", "command", "pipe"].includes(mode), line);
  assertEquals(mode === "command", command.length > 0, line);
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
  for (const key of ["cpu", "quiet", "json"] as const) {
    assertEquals(typeof settings[key], "boolean", line);
  }
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
        assertSettings(parsed, line);
        outcomes.settings++;
      }
    } catch (error) {
      if (!(error instanceof UsageError)) {
        throw new Error(line, { cause: error });
      }
      // it says what was wrong, what was given, and what is accepted
      assert(
        /'[^]*'|^--|after --/.test(error.message) &&
          /: (it takes|the options are|it goes with|a command is given|give one)|only$/
            .test(error.message),
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
  const bytes = new TextEncoder().encode(text);
  if (chance(0.3)) {
    for (let more = below(4); more >= 0; more--) {
      bytes[below(bytes.length)] = below(256);
    }
  }
  if (chance(0.1)) return bytes.slice(0, below(bytes.length));
  if (chance(0.1)) return Uint8Array.from(several(50, () => below(256)));
  return bytes;
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
  for (let n = 0; n < MESSAGES; n++) {
    const data = createMessage(dice);
    const line = `SEED=${SEED} no. ${n}: ${new TextDecoder().decode(data)}`;
    const before = malformed.length;
    hear(data);
    if (malformed.length > before) {
      bad++;
      const { count, subject, problem, data: told } = malformed.at(-1)!;
      assertEquals([count, subject], [bad, "heartbeats.>"], line);
      assert(told === data && problem.length > 0, line);
      continue;
    }
    good++;
    const { value: batch } = await read;
    read = reader.read();
    assertEquals(batch!.length, 1, line);
    const { worker, seq, time, ...more } = batch![0] as Heartbeat;
    assertEquals(typeof worker, "string", line);
    assert(Number.isSafeInteger(seq), line);
    assert(Number.isFinite(time), line);
    assert(Object.keys(more).every((key) => key === "detail"), line);
    assertEquals(Object.getPrototypeOf(batch![0]), Object.prototype, line);
    // what was understood was there
    assertEquals(JSON.parse(new TextDecoder().decode(data)).worker, worker);
  }
  assertEquals(good + bad, MESSAGES);
  assert(good > 5_000 && bad > 5_000, `${good} and ${bad}`);
  assertEquals("polluted" in {}, false);
  await reader.cancel();
});
