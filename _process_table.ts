// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** Runs a command and returns what it prints; rejects if there is no such command. */
export type RunCommand = (command: string, args: string[]) => Promise<string>;

/** A process, as far as it matters here. */
interface Entry {
  pgid: number;
  /** It has ended, and its parent has not reaped it. */
  isZombie: boolean;
}

/**
 * Parses `/proc/<pid>/stat`: `pid (name) state ppid pgid …`, where the name may
 * hold anything. A process whose first thread has ended while others run has
 * the state of a zombie, too; field 20 counts its threads.
 */
function parseStat(line: string): Entry[] {
  const [state = "", , pgid, ...rest] = line.slice(line.lastIndexOf(")") + 2)
    .split(" ");
  if (pgid === undefined) return [];
  const isZombie = /^[ZX]/.test(state) && !(Number(rest[14]) > 1);
  return [{ pgid: Number(pgid), isZombie }];
}

/** Parses a line of `ps -o pgid=,stat=`. */
function parsePs(line: string): Entry[] {
  const [, pgid, state = ""] = /^\s*(\d+)\s+(\S+)/.exec(line) ?? [];
  return [{ pgid: Number(pgid), isZombie: state.startsWith("Z") }];
}

/** Reads all processes. Not by files: Deno permits to read `/proc` only with all permissions. */
async function readTable(os: string, run: RunCommand): Promise<Entry[]> {
  if (os === "linux" || os === "android") {
    // a small image may lack ps
    const text = await run("sh", ["-c", "cat /proc/[0-9]*/stat"]);
    return text.split("\n").flatMap(parseStat);
  }
  const text = await run("ps", ["-A", "-o", "pgid=", "-o", "stat="]);
  return text.split("\n").flatMap(parsePs);
}

/**
 * Whether a process group holds nothing but zombies.
 *
 * @param pgid The id of the group.
 * @param os The name of the operating system.
 * @param run Runs the command that lists the processes.
 * @returns `undefined` if that cannot be found out.
 */
export async function isGroupDefunct(
  pgid: number,
  os: string,
  run: RunCommand,
): Promise<boolean | undefined> {
  try {
    const table = await readTable(os, run);
    const members = table.filter((entry) => entry.pgid === pgid);
    if (members.length === 0) return undefined;
    return members.every((member) => member.isZombie);
  } catch {
    return undefined;
  }
}
