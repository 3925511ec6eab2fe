// Copyright 2026 the heartbeat authors. MIT license.

/**
 * The cost of the command line: how fast it passes bytes on, compared with `cat`
 * and with the shortest program that Deno can do it with, and how long it takes
 * to start and what memory it has, compared with `timeout(1)`.
 *
 * @module
 */

import { NPM_FLAGS } from "../tests/_help.ts";
import {
  type Candidate,
  candidate,
  compare,
  judgeRatio,
  median,
  type Outcome,
  type Row,
} from "./_measure.ts";

const MIB = 2 ** 20;
/** The share of the units for MiB, and for starts. */
const PIPED = 0.005;
const STARTED = 0.00006;
/** How long (ms) a process lives whose memory is measured, and when that is done. */
const LIFE_MS = 1_500;
const LOOK_MS = 1_000;
const LOOKS = 5;

const folder = await Deno.makeTempDir();
const root = new URL("..", import.meta.url);
const deno = [Deno.execPath(), "run", "--quiet", "--no-check"];
const heartbeat = [...deno, "--allow-run", ...NPM_FLAGS, "main.ts"];
const timeout = ["timeout", "60"];

async function writeProgram(name: string, code: string) {
  await Deno.writeTextFile(`${folder}/${name}`, code);
  return [...deno, `${folder}/${name}`];
}

const pipeTo = await writeProgram(
  "pipe.ts",
  "await Deno.stdin.readable.pipeTo(Deno.stdout.writable);",
);
const empty = await writeProgram("empty.ts", "");
const waiting = await writeProgram(
  "waiting.ts",
  `setTimeout(() => {}, ${LIFE_MS});`,
);

function quote(words: string[]) {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

async function runShell(script: string) {
  const { stdout, success } = await new Deno.Command("sh", {
    args: ["-c", script],
    cwd: root,
    stderr: "null",
  }).output();
  if (!success) throw new Error(`failed: ${script}`);
  return new TextDecoder().decode(stdout);
}

/**
 * Passes MiB through a pipe. The time starts when a first line has come through,
 * so that starting does not count.
 *
 * @param connect Gives the command that runs a producer, and passes on what it
 * writes.
 */
function pipe(connect: (producer: string) => string) {
  return async (length: number) => {
    const go = `${folder}/go`;
    await runShell(`rm -f ${go} && mkfifo ${go}`);
    const producer = `echo; cat ${go}; head -c ${length * MIB} /dev/zero`;
    const out = await runShell(
      `${connect(producer)} | {
        read first; date +%s%N; : > ${go}; wc -c; date +%s%N
      }`,
    );
    const [start, bytes, end] = out.trim().split(/\s+/).map(Number);
    return { count: bytes! / MIB, ms: (end! - start!) / 1e6 };
  };
}

/** A pipe behind its producer. */
function behind(command: string[]) {
  return pipe((producer) => `{ ${producer}; } | ${quote(command)}`);
}

async function startTimes(command: string[], length: number) {
  for (let i = 0; i < length; i++) await runShell(quote(command));
  return length;
}

/** The most memory (KiB) of a process, without what it starts: the median of some. */
async function measureMemory(command: string[]) {
  const looks: number[] = [];
  for (let look = 0; look < LOOKS; look++) {
    const child = new Deno.Command(command[0]!, {
      args: command.slice(1),
      cwd: root,
      stdout: "null",
    }).spawn();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const status = await Deno.readTextFile(`/proc/${child.pid}/status`);
    looks.push(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]));
    await child.status;
  }
  return median(looks);
}

async function compareMemory(): Promise<Row[]> {
  if (Deno.build.os !== "linux") return [];
  const sleep = ["sleep", `${LIFE_MS / 1_000}`];
  const commands: [string, string[]][] = [
    ["`timeout(1)`", [...timeout, ...sleep]],
    ["an empty program in Deno", waiting],
    ["**`heartbeat -- COMMAND`**", [...heartbeat, "--", ...sleep]],
  ];
  const sizes: [string, number][] = [];
  for (const [name, command] of commands) {
    sizes.push([name, await measureMemory(command)]);
  }
  const [baseline, least] = sizes[0]!;
  return sizes.map(([name, size]) => ({
    per: "memory of a process",
    name,
    ratio: size / least,
    baseline,
  }));
}

const starter = (name: string, command: string[]): Candidate =>
  candidate(name, (length) => startTimes(command, length), STARTED);

/** Runs the bench. */
export async function run(): Promise<Outcome> {
  const direct = candidate("`stdin.readable.pipeTo()`", behind(pipeTo), PIPED);
  const piped = candidate(
    "**`heartbeat -`**",
    behind([...heartbeat, "-"]),
    PIPED,
  );
  const guarded = candidate(
    "**`heartbeat -- COMMAND`**",
    pipe((producer) => quote([...heartbeat, "--", "sh", "-c", producer])),
    PIPED,
  );
  const timed = starter("`timeout(1)`", [...timeout, "true"]);
  const rows = [
    ...await compare("MiB through a pipe", direct, [
      candidate("`cat`", behind(["cat"]), PIPED),
      direct,
      piped,
      guarded,
    ]),
    ...await compare("start and end of a process", timed, [
      timed,
      starter("an empty program in Deno", empty),
      starter("**`heartbeat -- true`**", [...heartbeat, "--", "true"]),
    ]),
    ...await compareMemory(),
  ];
  await Deno.remove(folder, { recursive: true });
  return {
    rows,
    targets: [
      judgeRatio(piped, direct, 1 / 0.9),
      judgeRatio(guarded, direct, 1 / 0.9),
    ],
  };
}
