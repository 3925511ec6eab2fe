// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseArguments, type Settings } from "../../_cli_args.ts";
import { VALUED_NAMES } from "../../_cli_options.ts";
import { UsageError } from "../../_cli_values.ts";
import { serveThread } from "../../thread.ts";
import { DEFAULTS } from "../_cli_settings.ts";
import { ArgumentMaker, LONGEST_MS } from "./_cli_arguments.ts";

/** An outcome of `parseArguments()`, and how often it came. */
export type Outcomes = Record<string, number>;

/** How many cases are one unit of the work. */
const UNIT = 500;

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

/** The arguments that are not the value of an option. */
function withoutValues(args: string[]): string[] {
  const rest = [...args];
  const own: string[] = [];
  for (let arg; (arg = rest.shift()) !== undefined;) {
    own.push(arg);
    if (VALUED_NAMES.some((name) => arg === `--${name}`)) rest.shift();
  }
  return own;
}

/** What goes with some uses only is not in the settings of the others. */
function assertUses(settings: Settings) {
  const { mode, network, once, tty, alive, health, ping } = settings;
  assertEquals(settings.target !== undefined, mode === "check");
  const isGuard = mode === "command" || mode === "pipe";
  assert(network ? /command|fleet/.test(mode) : mode !== "fleet");
  assert(!once || mode === "fleet", mode);
  assert(!tty && !alive || mode === "command", mode);
  if (health) {
    assert(mode === "demo" || mode === "command", mode);
    assert(health.port <= 65_535 && health.hostname !== "");
  }
  const { summary, notices, grep } = settings;
  assert(isGuard || !ping && !grep && !summary && !notices, mode);
  if (ping) {
    assert(ping.every > 0 && /^https?:$/.test(new URL(ping.url).protocol));
  }
  if (mode === "demo") return;
  const { interval, work, hangAfter, cpu } = settings;
  assertEquals({ ...DEFAULTS, interval, work, hangAfter, cpu }, DEFAULTS);
}

/** Whatever the arguments are, the settings obey their types and ranges. */
function assertSettings(settings: Settings, args: string[]) {
  assertEquals(Object.keys(settings).sort(), Object.keys(DEFAULTS).sort());
  assertUses(settings);
  const { mode, command, timeout, runtime, interval, work } = settings;
  const cut = args.indexOf("--");
  const isWord = mode === "pipe" && args.includes("-") ||
    mode === "fleet" && args.includes("fleet") ||
    mode === "check" && args.includes("check");
  assert(cut < 0 ? isWord || mode === "demo" : mode === "command", mode);
  assertEquals(command, cut < 0 ? [] : args.slice(cut + 1));
  // `--notices -h` names a file
  const own = withoutValues(args.slice(0, cut >>> 0));
  assert(!own.some((arg) => /^(-h|--help|--version)$/.test(arg)), "asked");
  for (const limit of [timeout, runtime]) {
    assert(
      limit > 0 && (limit <= LONGEST_MS || limit === Infinity),
      `${limit}`,
    );
  }
  for (const time of [interval, work]) assert(time > 0 && time <= LONGEST_MS);
  const { restart, hangAfter, cpu, quiet, json, stats } = settings;
  for (const count of [restart.maxRestarts, hangAfter]) {
    assert(Number.isSafeInteger(count) && count >= 0 || count === Infinity);
  }
  assert(restart.within > 0 && (restart.backoff?.min ?? 1) > 0);
  assertEquals(
    [cpu, quiet, json, stats].map((flag) => typeof flag),
    Array(4).fill("boolean"),
  );
}

/** What an error says at least: what it is about, and what is accepted. */
const MESSAGE = new RegExp(
  [
    "^invalid value '.*' for --[a-z-]+: it takes (250ms, 3s, 1\\.5m, 1h, 1m30s or 2d|a whole number|no value)",
    "^invalid value '[\\d.]+' for --[a-z-]+: [\\d.]+s or [\\d.]+ms\\?$",
    "^unknown option '-.*': the options are --timeout, ",
    "^unexpected argument '.*': a command is given after --, as in ",
    "^missing command after --: give one, as in ",
    "^--[a-z-]+( '.*')? is not for this use: it goes with (the demo|-- COMMAND|fleet)",
    "^missing URL or FILE: check needs one, as in ",
    "^unexpected argument '.*': check takes one URL or FILE$",
    "^invalid value '.*' for --grep: it takes a regular expression of JavaScript: [^:]+$",
    "^invalid value '.*' for --restart: it takes never, ",
    "^invalid value '.*' for --backoff: (it takes MIN|the first delay must)",
    "^missing --restart or --retries: ",
    "^missing --(nats URL|ping URL|name NAME|tls-(cert|key) FILE): ",
    "^--[a-z-]+( [a-z-]+)? does not go with (--restart never|--retries 0): nothing is ",
    "^--(retries|restart on-stall|blind-above|once) needs a --timeout: ",
    "^--creds does not go with a user in --nats: ",
    "^invalid value for --(nats: it takes|ping: it must be) a URL",
    "^invalid value '.*' for --health: it takes a port",
    "^invalid value '' for --[a-z-]+: it must not be empty$",
    "^invalid value '.*' for --(name|subject): it takes (a name|parts|a subject) ",
  ].join("|"),
  "s",
);

/** Arguments, and what is checked of the answer; returns the outcome. */
interface Play {
  args: string[];
  check: () => string;
}

function playRight(maker: ArgumentMaker): Play {
  const { groups, tail, settings } = maker.right();
  const args = [...groups.flat(), ...tail];
  const check = () => {
    assertEquals<unknown>(ask(args), settings);
    return `right ${settings.mode}`;
  };
  return { args, check };
}

function playWrong(maker: ArgumentMaker): Play {
  const { kind, args, message } = maker.wrong();
  const check = () => {
    const answer = ask(args);
    if (!(answer instanceof UsageError)) throw new Error("accepted");
    assertStringIncludes(answer.message, message.replaceAll(/[\r\n]/g, " "));
    return `wrong ${kind}`;
  };
  return { args, check };
}

function playNoise(maker: ArgumentMaker): Play {
  const tail = () => maker.chance(0.3) ? ["--", ...maker.noise()] : [];
  const word = maker.chance(0.1) ? ["check"] : [];
  const args = [...word, ...maker.noise(), ...tail()];
  const check = () => {
    const answer = ask(args);
    if (answer instanceof UsageError) {
      assert(MESSAGE.test(answer.message), answer.message);
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
  };
  return { args, check };
}

function play(maker: ArgumentMaker): string {
  const make = maker.chance(0.4)
    ? playRight
    : maker.chance(0.5)
    ? playWrong
    : playNoise;
  const { args, check } = make(maker);
  try {
    return check();
  } catch (error) {
    throw new Error(`${JSON.stringify(args)}: ${(error as Error).message}`);
  }
}

/** Plays cases that a seed repeats; each unit gives what came of some. */
function* fuzz({ seed, cases }: { seed: number; cases: number }) {
  const maker = new ArgumentMaker(seed);
  const [plain, list] = [Object.prototype, Array.prototype]
    .map((prototype) => Reflect.ownKeys(prototype).length);
  for (let done = 0; done < cases; done += UNIT) {
    const outcomes: Outcomes = {};
    for (let n = 0; n < UNIT; n++) {
      const outcome = play(maker);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    assertEquals(Reflect.ownKeys(Object.prototype).length, plain);
    assertEquals(Reflect.ownKeys(Array.prototype).length, list);
    yield outcomes;
  }
}

serveThread<Outcomes, Parameters<typeof fuzz>[0]>(({ input }) => fuzz(input));
