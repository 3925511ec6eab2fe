// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseArguments, type Settings, UsageError } from "../_cli_args.ts";
import { serveThread } from "../thread.ts";
import { mulberry32 } from "./_help.ts";

/** What `fuzz` counts: an outcome of `parseArguments()`, and how often it came. */
export type Outcomes = Record<string, number>;

/** How many cases are one unit of the work. */
const UNIT = 500;
/** The longest delay of a timer (ms). */
const LONGEST = 2_147_483_647;

type Mode = Settings["mode"];

/** Texts that hold no space. */
const each = (texts: string) => texts.split(" ");
const EVERY = each(
  "timeout runtime retries interval work hang-after cpu quiet json",
);
const LIMITS = ["timeout", "runtime"];
const COUNTS = ["retries", "hang-after"];
const SWITCHES = ["cpu", "quiet", "json"];

/** What is not said. */
const DEFAULTS = {
  retries: 0,
  interval: 1_000,
  work: 500,
  hangAfter: Infinity,
  cpu: false,
  quiet: false,
  json: false,
};

const NO_DURATIONS = [
  ...each(
    "x 1e3 -5s 5w Infinity NaN 1,5s 597h 25d 2147483648 2147483648ms 1m30 30s1m 1s1s 0x10 1.2.3 ５s . 1_000",
  ),
  ...each("ms 3S +3 -- - --json 1=2 None"),
  ...["", "3 s", " 1", "\n5", "5\n", "9".repeat(400)],
];
/** Without a unit they could be anything. */
const BARE_NUMBERS = each("90 1 .5 0.5 7. 007 2147483647");
const NO_COUNTS = [
  ...each("-1 1.5 1e3 x +1 ٣ 0x1 none Infinity 5s 1=2 - --quiet"),
  ...["", "1 ", "1".repeat(16)],
];
const UNKNOWN = [
  ...each(
    "--bogus --no-quiet --no-timeout -x -5 -.5 -5s --_ --_=1 -_ -h_ -hx -h5",
  ),
  ...each(
    "-h=1 --- --=1 -= --Timeout --timeouts --timeou --timeout.x=1 --h --t -v",
  ),
  ...each(
    "--__proto__ --__proto__.x=1 --constructor.prototype.x=1 --toString -–",
  ),
  ...["--time out", "--\n", "-\ud800", "-\0"],
];
const WORDS = [
  ...each("make 5s true= _ = __proto__ 日本 1 x=y"),
  "",
  "a\nb",
  "\0",
];

const POOL = [
  ...EVERY.flatMap((flag) => [`--${flag}`, `--${flag}=`]),
  ...each("--help -h --version -- - true false 3s 1 none"),
  ...[NO_DURATIONS, NO_COUNTS, UNKNOWN, WORDS].flat(),
];

/** Which options a use takes. */
function takes(mode: Mode) {
  if (mode === "demo") return EVERY;
  const own = [...LIMITS, "quiet", "json"];
  return mode === "command" ? [...own, "retries"] : own;
}

/** Makes up arguments; all that it does follows from `random`. */
function createMaker(random: () => number) {
  const below = (n: number) => Math.floor(n * random());
  const chance = (share: number) => random() < share;
  const pick = <T>(from: readonly T[]) => from[below(from.length)]!;
  const list = <T>(make: () => T) => Array.from({ length: below(8) }, make);
  /** An option and its value, which stand together. */
  const option = (flag: string, text: string) =>
    chance(0.5) ? [`--${flag}=${text}`] : [`--${flag}`, text];

  function duration(flag: string): [string, number] {
    if (LIMITS.includes(flag) && chance(0.2)) {
      return [pick(each("0 none 0s 0.0h .0m 000")), Infinity];
    }
    if (chance(0.05)) return [`${LONGEST}ms`, LONGEST];
    const units = Object.entries({ d: 864e5, h: 36e5, m: 6e4, s: 1e3, ms: 1 })
      .filter(() => chance(0.4));
    if (units.length === 0) return ["1m30s", 90_000];
    let [text, ms] = ["", 0];
    for (const [unit, length] of units) {
      const whole = String(1 + below(unit === "d" ? 5 : 100));
      const figure = pick([whole, `0${whole}`, `${whole}.`, `${whole}.5`]);
      text += figure + unit;
      ms += parseFloat(figure) * length;
    }
    return [text, ms];
  }

  /** Anything. */
  function noise(): string[] {
    const character = () =>
      chance(0.7)
        ? pick([..."-=-_.,'\"\\$ \n\0hsm01"])
        : String.fromCharCode(below(chance(0.5) ? 0x80 : 0x10000));
    return list(() => {
      const text = list(character).join("");
      const [one, other] = [pick(POOL), pick(POOL)];
      if (chance(0.5)) return one;
      return pick([text, `--${text}`, `-${text}`, one + text, one + other]);
    });
  }

  /** What is right, and what it means. */
  function right() {
    const mode = pick<Mode>(["demo", "command", "pipe"]);
    const command = [pick(each("make -- - --bogus -h")), ...noise()];
    const tail = mode === "command" ? ["--", ...command] : [];
    const settings: Settings = {
      mode,
      command: tail.slice(1),
      timeout: mode === "demo" ? 3_000 : 600_000,
      runtime: mode === "demo" ? 10_000 : Infinity,
      ...DEFAULTS,
    };
    const groups = list(() => {
      const flag = pick(takes(mode));
      const key = flag === "hang-after" ? "hangAfter" : flag;
      // of several of one kind, the last one counts
      if (SWITCHES.includes(flag)) {
        Object.assign(settings, { [key]: true });
        return [`--${flag}`];
      }
      const count = below(1_000);
      const [text, value] = COUNTS.includes(flag)
        ? [String(count), count]
        : duration(flag);
      Object.assign(settings, { [key]: value });
      return option(flag, text);
    });
    if (mode === "pipe") groups.splice(below(groups.length + 1), 0, ["-"]);
    return { mode, groups, tail, settings };
  }

  const wrongs = {
    value(mode: Mode) {
      const flag = pick(takes(mode).filter((flag) => !SWITCHES.includes(flag)));
      const count = COUNTS.includes(flag);
      const limit = LIMITS.includes(flag);
      const text = pick([
        ...(count ? NO_COUNTS : NO_DURATIONS),
        ...(count || limit ? [] : each("0 none 0.0s")),
        ...(count ? [] : BARE_NUMBERS),
      ]);
      const group = option(flag, text);
      // it ends the options wherever it stands
      const shown = group[1] === "--" ? "" : text;
      const accepted = count
        ? "a whole number, 0 or more"
        : `250ms, 3s, 1.5m, 1h, 1m30s or 2d, up to 596h, ${
          limit ? "and 0 or none for no limit" : "more than 0"
        }`;
      return {
        group,
        said: `invalid value '${shown}' for --${flag}: ${
          !count && BARE_NUMBERS.includes(text)
            ? `${text}s or ${text}ms?`
            : `it takes ${accepted}`
        }`,
      };
    },
    switch() {
      const flag = `--${pick([...SWITCHES, "help", "version"])}`;
      const text = pick(["", "1", "true", "false", "a=b", "\n"]);
      const apart = /true|false/.test(text) && chance(0.5);
      return {
        group: apart ? [flag, text] : [`${flag}=${text}`],
        said: `invalid value '${text}' for ${flag}: it takes no value`,
      };
    },
    unknown() {
      const text = pick(UNKNOWN);
      const options = [...EVERY, "help", "version"].map((flag) => `--${flag}`);
      return {
        group: [text],
        said: `unknown option '${text}': the options are ${options.join(", ")}`,
      };
    },
    word(mode: Mode) {
      const word = pick(WORDS);
      return {
        group: [word],
        said: mode === "pipe"
          ? "unexpected argument '"
          : `unexpected argument '${word}': a command is given after --, as in `,
      };
    },
    use(mode: Mode) {
      const flag = pick(EVERY.filter((flag) => !takes(mode).includes(flag)));
      if (!flag) {
        return { group: ["-", "-"], said: "unexpected argument '-': " };
      }
      const text = COUNTS.includes(flag) ? "1" : "1s";
      return {
        group: SWITCHES.includes(flag) ? [`--${flag}`] : option(flag, text),
        said: " is not for this use: it goes with the demo",
      };
    },
    command() {
      const tail = ["--", ...pick([[], [""], ["", "x"]])];
      return {
        group: [],
        tail,
        said: "missing command after --: give one, as",
      };
    },
  };

  /** Something wrong among what is right, and what is to be said of it. */
  function wrong() {
    const { mode, groups, tail } = right();
    const kind = pick(Object.keys(wrongs) as (keyof typeof wrongs)[]);
    const given: { group: string[]; said: string; tail?: string[] } = wrongs
      [kind](mode);
    const isMissing = given.tail !== undefined;
    const name = (group: string[]) => group[0]?.split("=")[0];
    const rest = groups.filter((group) =>
      name(group) !== name(given.group) && !(isMissing && name(group) === "-")
    );
    rest.splice(below(rest.length + 1), 0, given.group);
    return {
      kind,
      args: [...rest.flat(), ...given.tail ?? tail],
      said: given.said,
    };
  }
  return { chance, noise, right, wrong };
}

/** Calls `parseArguments()`; an error is one line, and of one class. */
function ask(args: string[]): Settings | "help" | "version" | UsageError {
  try {
    const given = Object.freeze([...args]) as string[];
    return parseArguments(given);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    assert(/^[^\r\n]+$/.test(error.message), "not one line");
    return error;
  }
}

/** Whatever was said, the settings obey their types and ranges. */
function assertSettings(settings: Settings, args: string[]) {
  const { mode, command, retries, hangAfter, ...more } = settings;
  const { timeout, runtime, interval, work, cpu, quiet, json, ...none } = more;
  assertEquals(none, {});
  const cut = args.indexOf("--");
  const piped = mode === "pipe" && cut < 0 && args.includes("-");
  assert(cut < 0 ? piped || mode === "demo" : mode === "command", mode);
  assertEquals(command, cut < 0 ? [] : args.slice(cut + 1));
  const own = args.slice(0, cut >>> 0);
  assert(!own.some((arg) => /^(-h|--help|--version)$/.test(arg)), "asked");
  for (const limit of [timeout, runtime]) {
    assert(limit > 0 && (limit <= LONGEST || limit === Infinity), `${limit}`);
  }
  for (const time of [interval, work]) assert(time > 0 && time <= LONGEST);
  for (const count of [retries, hangAfter]) {
    assert(Number.isSafeInteger(count) && count >= 0 || count === Infinity);
  }
  assert(retries < Infinity);
  assertEquals(
    [cpu, quiet, json].map((flag) => typeof flag),
    Array(3).fill("boolean"),
  );
  if (mode === "demo") return;
  const { retries: _, quiet: _q, json: _j, ...demo } = DEFAULTS;
  assertEquals({ interval, work, hangAfter, cpu }, demo);
}

/** What an error must tell at least: what it is about, and what is accepted. */
const SAID = new RegExp(
  [
    "^invalid value '.*' for --[a-z-]+: it takes (250ms, 3s, 1\\.5m, 1h, 1m30s or 2d|a whole number|no value)",
    "^invalid value '[\\d.]+' for --[a-z-]+: [\\d.]+s or [\\d.]+ms\\?$",
    "^unknown option '-.*': the options are --timeout, ",
    "^unexpected argument '.*': a command is given after --, as in ",
    "^missing command after --: give one, as in ",
    "^--[a-z-]+( '.*')? is not for this use: it goes with the demo",
  ].join("|"),
  "s",
);

/** One case, and what came of it; `tell` is told what is said. */
function play(
  { chance, noise, right, wrong }: ReturnType<typeof createMaker>,
  tell: (args: string[]) => void,
): string {
  if (chance(0.4)) {
    const { groups, tail, settings } = right();
    const args = [...groups.flat(), ...tail];
    tell(args);
    assertEquals<unknown>(ask(args), settings);
    return `right ${settings.mode}`;
  }
  if (chance(0.5)) {
    const { kind, args, said } = wrong();
    tell(args);
    const answer = ask(args);
    if (!(answer instanceof UsageError)) throw new Error("accepted");
    assertStringIncludes(answer.message, said.replaceAll(/[\r\n]/g, " "));
    return `wrong ${kind}`;
  }
  const args = [...noise(), ...(chance(0.3) ? ["--", ...noise()] : [])];
  tell(args);
  const answer = ask(args);
  if (answer instanceof UsageError) {
    assert(SAID.test(answer.message), answer.message);
    return "noise refused";
  }
  if (typeof answer !== "string") {
    assertSettings(answer, args);
    return `noise ${answer.mode}`;
  }
  const own = args.slice(0, args.indexOf("--") >>> 0);
  const asked = answer === "help" ? ["--help", "-h"] : ["--version"];
  assert(own.some((arg) => asked.includes(arg)), answer);
  return `noise ${answer}`;
}

/** Plays cases that a seed repeats; each unit gives what came of some. */
function* fuzz({ seed, cases }: { seed: number; cases: number }) {
  const maker = createMaker(mulberry32(seed));
  const [plain, list] = [Object.prototype, Array.prototype]
    .map((prototype) => Reflect.ownKeys(prototype).length);
  for (let done = 0; done < cases; done += UNIT) {
    const outcomes: Outcomes = {};
    for (let n = 0; n < UNIT; n++) {
      let said: string[] = [];
      try {
        const outcome = play(maker, (args) => said = args);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      } catch (error) {
        const { message } = error as Error;
        throw new Error(`${JSON.stringify(said)}: ${message}`);
      }
    }
    assertEquals(Reflect.ownKeys(Object.prototype).length, plain);
    assertEquals(Reflect.ownKeys(Array.prototype).length, list);
    yield outcomes;
  }
}

serveThread<Outcomes, Parameters<typeof fuzz>[0]>(({ input }) => fuzz(input));
