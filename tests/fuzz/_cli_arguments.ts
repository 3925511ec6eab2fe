// Copyright 2026 the heartbeat authors. MIT license.

import type { Settings } from "../../_cli_args.ts";
import {
  DEFAULTS,
  GUARD_DEFAULTS,
  NETWORK_OPTIONS,
  OPTIONS,
  RIGHT,
  SWITCHES,
  WRONG,
} from "../_cli_settings.ts";
import { Random } from "../_random.ts";

/** The longest delay of a timer, in milliseconds. */
export const LONGEST_MS = 2_147_483_647;

type Mode = Settings["mode"];

/** Texts without a space. */
const each = (texts: string) => texts.split(" ");
const NETWORK = NETWORK_OPTIONS;
const FLEET = ["exec", "group", "blind-above", "once"];
const EVERY = OPTIONS.filter((flag) => !/^(help|version)$/.test(flag));
const LIMITS = ["timeout", "runtime"];
const COUNTS = ["retries", "hang-after"];
const ALONE = ["cpu", "quiet", "json", "stats"];

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
  ...each("--help -h --version -- - true false 3s 1 none check"),
  ...[NO_DURATIONS, NO_COUNTS, UNKNOWN, WORDS].flat(),
];

/** What every use takes, what the demo does, and what the guards do. */
const COMMON = [...LIMITS, "quiet", "json"];
const DEMO = each("retries interval work hang-after health cpu");
const GUARDS = each("stats summary notices grep ping ping-every ping-plain");
const ONLY_COMMAND = [
  ...each("restart within backoff tty alive-if"),
  ...NETWORK.filter((flag) => !FLEET.includes(flag)),
];
const COMMAND = [...each("retries health"), ...ONLY_COMMAND];

/** Which options a use takes. */
function takes(mode: Mode) {
  if (mode === "demo") return [...COMMON, ...DEMO];
  const more = mode === "command" ? COMMAND : [];
  return [...COMMON, ...GUARDS, ...more];
}

/** Those of them that the fuzz gives alone. */
function takesAlone(mode: Mode) {
  const alone = [...LIMITS, ...COUNTS, ...ALONE, "interval", "work"];
  return takes(mode).filter((flag) => alone.includes(flag));
}

/** Options in groups (one that takes a value and that value stand together), and what they mean. */
interface Right {
  mode: Mode;
  groups: string[][];
  /** `--` and the command. */
  tail: string[];
  settings: Settings;
}

/** What may be given together. */
interface Scope {
  /** Whether `--retries` may be given. */
  hasRetries: boolean;
  /** Whether there must be a `--timeout`. */
  isTimed: boolean;
}

/** Something wrong, and what the error must contain. */
interface Wrong {
  group: string[];
  message: string;
  tail?: string[];
}

/** The kinds of what is wrong. */
const WRONGS = [
  "value",
  "switch",
  "unknown",
  "word",
  "use",
  "command",
] as const;

/** Makes up arguments. */
export class ArgumentMaker extends Random {
  #list<T>(make: () => T) {
    return Array.from({ length: this.below(8) }, make);
  }

  /** An option and its value, which stand together. */
  #option(flag: string, text: string) {
    return this.chance(0.5) ? [`--${flag}=${text}`] : [`--${flag}`, text];
  }

  #duration(flag: string, isFinite: boolean): [text: string, ms: number] {
    if (LIMITS.includes(flag) && !isFinite && this.chance(0.2)) {
      return [this.pick(each("0 none 0s 0.0h .0m 000")), Infinity];
    }
    if (this.chance(0.05)) return [`${LONGEST_MS}ms`, LONGEST_MS];
    const units = Object.entries({ d: 864e5, h: 36e5, m: 6e4, s: 1e3, ms: 1 })
      .filter(() => this.chance(0.4));
    if (units.length === 0) return ["1m30s", 90_000];
    let [text, ms] = ["", 0];
    for (const [unit, length] of units) {
      const whole = String(1 + this.below(unit === "d" ? 5 : 100));
      const figure = this.pick([whole, `0${whole}`, `${whole}.`, `${whole}.5`]);
      text += figure + unit;
      ms += parseFloat(figure) * length;
    }
    return [text, ms];
  }

  #character() {
    return this.chance(0.7)
      ? this.pick([..."-=-_.,'\"\\$ \n\0hsm01"])
      : String.fromCharCode(this.below(this.chance(0.5) ? 0x80 : 0x10000));
  }

  /** Anything. */
  noise(): string[] {
    return this.#list(() => {
      const text = this.#list(() => this.#character()).join("");
      const [one, other] = [this.pick(POOL), this.pick(POOL)];
      if (this.chance(0.5)) return one;
      const mixed = [one + text, one + other];
      return this.pick([text, `--${text}`, `-${text}`, ...mixed]);
    });
  }

  /** What is right, and what it means; with options that stand together, or without. */
  right(hasMore = true): Right {
    const mode = this.pick<Mode>(["demo", "command", "pipe"]);
    const command = [this.pick(each("make -- - --bogus -h")), ...this.noise()];
    const tail = mode === "command" ? ["--", ...command] : [];
    const settings: Settings = {
      ...(mode === "demo" ? DEFAULTS : GUARD_DEFAULTS),
      mode,
      command: tail.slice(1),
    };
    const more = RIGHT.filter(({ modes }) => modes.includes(mode));
    const isMore = hasMore && more.length > 0 && this.chance(0.5);
    const given = this.pick(more);
    if (isMore) Object.assign(settings, given!.settings);
    const scope = this.#chooseScope(isMore ? given!.settings : {});
    const groups = this.#list(() => this.#set(settings, scope));
    if (isMore) groups.splice(this.below(groups.length + 1), 0, given!.args);
    if (mode === "pipe") groups.splice(this.below(groups.length + 1), 0, ["-"]);
    return { mode, groups, tail, settings };
  }

  /** Chooses what may be given, so that no option is without effect beside another one. */
  #chooseScope({ restart }: Partial<Settings>): Scope {
    const hasRetries = restart === undefined && this.chance(0.5);
    return { hasRetries, isTimed: hasRetries || restart?.when === "on-stall" };
  }

  /** One option; of several of one kind, the last one counts. */
  #set(settings: Settings, { hasRetries, isTimed }: Scope): string[] {
    const flag = this.pick(
      takesAlone(settings.mode)
        .filter((flag) => hasRetries || flag !== "retries"),
    );
    const key = flag === "hang-after" ? "hangAfter" : flag;
    if (ALONE.includes(flag)) {
      Object.assign(settings, { [key]: true });
      return [`--${flag}`];
    }
    const count = this.below(1_000);
    const [text, value] = COUNTS.includes(flag)
      ? [String(count), count]
      : this.#duration(flag, isTimed && flag === "timeout");
    if (flag === "retries") {
      settings.restart = { ...settings.restart, maxRestarts: count };
    } else Object.assign(settings, { [key]: value });
    return this.#option(flag, text);
  }

  /** Something wrong among what is right, and what the error must contain. */
  wrong() {
    const { mode, groups, tail } = this.right(false);
    const kind = this.pick(WRONGS);
    const given = this.#makeWrong(kind, mode);
    const isMissing = given.tail !== undefined;
    const name = (group: string[]) => group[0]?.split("=")[0];
    const rest = groups.filter((group) =>
      name(group) !== name(given.group) &&
      !(isMissing && name(group) === "-") &&
      // what would not be missing then
      !(given.message.startsWith("missing --") &&
        group[0]!.startsWith("--") &&
        given.message.includes(name(group)!))
    );
    rest.splice(this.below(rest.length + 1), 0, given.group);
    return {
      kind,
      args: [...rest.flat(), ...given.tail ?? tail],
      message: given.message,
    };
  }

  #makeWrong(kind: typeof WRONGS[number], mode: Mode): Wrong {
    switch (kind) {
      case "value":
        return this.#wrongValue(mode);
      case "switch":
        return this.#wrongSwitch();
      case "unknown":
        return this.#unknownOption();
      case "word":
        return this.#unexpectedWord(mode);
      case "use":
        return this.#wrongUse(mode);
      case "command": {
        const tail = ["--", ...this.pick([[], [""], ["", "x"]])];
        const message = "missing command after --: give one, as";
        return { group: [], tail, message };
      }
    }
  }

  #wrongValue(mode: Mode): Wrong {
    const more = WRONG.filter(({ modes }) => modes.includes(mode));
    if (this.chance(0.3)) {
      const { args, message } = this.pick(more);
      return { group: args, message };
    }
    const valued = takesAlone(mode).filter((flag) => !ALONE.includes(flag));
    const flag = this.pick(valued);
    const isCount = COUNTS.includes(flag);
    const isLimit = LIMITS.includes(flag);
    const text = this.pick([
      ...(isCount ? NO_COUNTS : NO_DURATIONS),
      ...(isCount || isLimit ? [] : each("0 none 0.0s")),
      ...(isCount ? [] : BARE_NUMBERS),
    ]);
    const group = this.#option(flag, text);
    // `--` ends the options wherever it stands
    const shown = group[1] === "--" ? "" : text;
    const accepted = isCount
      ? "a whole number, 0 or more"
      : `250ms, 3s, 1.5m, 1h, 1m30s or 2d, up to 596h, ${
        isLimit ? "and 0 or none for no limit" : "more than 0"
      }`;
    const hint = !isCount && BARE_NUMBERS.includes(text)
      ? `${text}s or ${text}ms?`
      : `it takes ${accepted}`;
    const message = `invalid value '${shown}' for --${flag}: ${hint}`;
    return { group, message };
  }

  #wrongSwitch(): Wrong {
    const flag = `--${this.pick(SWITCHES)}`;
    const text = this.pick(["", "1", "true", "false", "a=b", "\n"]);
    const apart = /true|false/.test(text) && this.chance(0.5);
    return {
      group: apart ? [flag, text] : [`${flag}=${text}`],
      message: `invalid value '${text}' for ${flag}: it takes no value`,
    };
  }

  #unknownOption(): Wrong {
    const text = this.pick(UNKNOWN);
    const all = OPTIONS.map((flag) => `--${flag}`);
    const message = `unknown option '${text}': the options are ${
      all.join(", ")
    }`;
    return { group: [text], message };
  }

  #unexpectedWord(mode: Mode): Wrong {
    const word = this.pick(WORDS);
    const message = mode === "pipe"
      ? "unexpected argument '"
      : `unexpected argument '${word}': a command is given after --, as in `;
    return { group: [word], message };
  }

  #wrongUse(mode: Mode): Wrong {
    const known = takes(mode);
    const others = EVERY.filter((flag) => !known.includes(flag));
    const flag = this.pick(others);
    const text = COUNTS.includes(flag) ? "1" : "1s";
    return {
      group: SWITCHES.includes(flag) ? [`--${flag}`] : this.#option(flag, text),
      message: ` is not for this use: it goes with ${
        FLEET.includes(flag)
          ? "fleet"
          : [...ONLY_COMMAND, ...GUARDS].includes(flag)
          ? "-- COMMAND"
          : "the demo"
      }`,
    };
  }
}
