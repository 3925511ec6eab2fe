// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

/** Runs a command and returns what it prints; it may reject if there is no such command. */
export type RunCommand = (command: string, args: string[]) => Promise<string>;

/** What is known of a process group. */
export interface GroupState {
  /** Whether it holds nothing but zombies: they have ended, and their parent has not reaped them. */
  isDefunct: boolean;
  /**
   * The CPU time of its processes, of those that have left it for another group of
   * the session that it leads, as `timeout` does, and of their children that were
   * reaped, in milliseconds.
   */
  cpuTime: number;
}

/** A process, as far as it matters here. */
interface Entry {
  pgid: number;
  /** The session; 0 if it is not known. */
  sid: number;
  isZombie: boolean;
  cpuTime: number;
}

/** The unit of CPU times in `/proc` (ms), the same on all architectures of today. */
const TICK_MS = 10;

/**
 * Parses `/proc/<pid>/stat`: `pid (name) state ppid pgid sid …`, where the name may
 * hold anything. Fields 14 to 17 are CPU times. A process whose first thread has
 * ended while others run has the state of a zombie, too; field 20 counts its
 * threads.
 */
function parseStat(line: string): Entry[] {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const getField = (number: number) => Number(fields[number - 3]);
  // not a part of a name that holds a line break
  if (!(getField(20) >= 0)) return [];
  const ticks = [14, 15, 16, 17].map(getField).reduce((a, b) => a + b);
  const isZombie = /^[ZX]/.test(fields[0]!) && !(getField(20) > 1);
  return [{
    pgid: getField(5),
    sid: getField(6),
    isZombie,
    cpuTime: ticks * TICK_MS,
  }];
}

/** Parses a CPU time as `ps` prints it, `[[days-]hours:]minutes:seconds`. */
function parseTime(text: string): number {
  const [time, days = 0] = text.split("-").reverse();
  const seconds = time!.split(":").reduce((sum, part) => sum * 60 + +part, 0);
  return (Number(days) * 86_400 + seconds) * 1_000;
}

/** Parses a line of `ps -o pgid=,stat=,time=`. */
function parsePs(line: string): Entry[] {
  const [, pgid, state, time] = /^\s*(\d+)\s+(\S+)\s+(\S+)/.exec(line) ?? [];
  if (!pgid) return [];
  const isZombie = state!.startsWith("Z");
  return [{ pgid: Number(pgid), sid: 0, isZombie, cpuTime: parseTime(time!) }];
}

/**
 * Prints the state of all processes, unless `/proc` is that of another namespace, as
 * in a sandbox that has not mounted its own: there these ids are of other processes.
 */
const PRINT_STATES =
  'read -r pid _ </proc/self/stat && [ "$pid" = $$ ] && cat /proc/[0-9]*/stat';

/** Reads all processes. Not by files: Deno permits to read `/proc` only with all permissions. */
async function readTable(os: string, run: RunCommand): Promise<Entry[]> {
  if (os === "linux" || os === "android") {
    // a small image may lack ps
    const text = await run("sh", ["-c", PRINT_STATES]);
    return text.split("\n").flatMap(parseStat);
  }
  const text = await run("ps", [
    "-A",
    ...["-o", "pgid=", "-o", "stat=", "-o", "time="],
  ]);
  return text.split("\n").flatMap(parsePs);
}

/**
 * Looks at a process group.
 *
 * @param pgid The id of the group.
 * @param os The name of the operating system.
 * @param run Runs the command that lists the processes.
 * @returns `undefined` if nothing of it can be found out.
 */
export async function readGroup(
  pgid: number,
  os: string,
  run: RunCommand,
): Promise<GroupState | undefined> {
  try {
    const table = await readTable(os, run);
    const members = table.filter((entry) => entry.pgid === pgid);
    if (members.length === 0) return undefined;
    return {
      isDefunct: members.every((member) => member.isZombie),
      cpuTime: table
        .filter((entry) => entry.pgid === pgid || entry.sid === pgid)
        .reduce((sum, { cpuTime }) => sum + cpuTime, 0),
    };
  } catch {
    return undefined;
  }
}

/**
 * Lists the other process groups of a session, but for those of zombies only:
 * timeout(1) and job control put what they start into groups of their own.
 *
 * @param sid The id of the session, and of the group that leads it.
 * @param os The name of the operating system.
 * @param run Runs the command that lists the processes.
 * @returns Their ids; none where sessions are not known.
 */
export async function listOtherGroups(
  sid: number,
  os: string,
  run: RunCommand,
): Promise<number[]> {
  try {
    const others = (await readTable(os, run)).filter((entry) =>
      entry.sid === sid && entry.pgid !== sid && !entry.isZombie
    );
    return [...new Set(others.map(({ pgid }) => pgid))];
  } catch {
    return [];
  }
}
