// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { listOtherGroups, readGroup } from "../_process_table.ts";

const PID = 7;

/** A line of `/proc/<pid>/stat`. */
function stat(
  name: string,
  state: string,
  pgid: number,
  threads = 1,
  sid = 6,
) {
  const times = "1 2 3 4";
  return `5 (${name}) ${state} 1 ${pgid} ${sid} 7 8 9 10 11 12 13 ${times} 18 19 ${threads} 21\n`;
}

const TABLES: Record<string, [os: string, table: string, expected: unknown]> = {
  "one lives": [
    "linux",
    stat("a", "Z", 7) + stat("b", "S", 7),
    [false, 200],
  ],
  "all are zombies": [
    "linux",
    stat("a", "Z", 7) + stat("b", "X", 7),
    [true, 200],
  ],
  "another group of its session works": [
    "linux",
    stat("a", "Z", 7, 0, 7) + stat("b", "R", 77, 1, 7),
    [true, 200],
  ],
  "others live": ["linux", stat("a", "Z", 7) + stat("b", "S", 77), [true, 100]],
  "threads outlive the first one": [
    "linux",
    stat("a", "Z", 7, 2),
    [false, 100],
  ],
  "the last thread of a zombie has ended": [
    "linux",
    stat("a", "Z", 7, 0),
    [true, 100],
  ],
  "a name looks like a state": [
    "android",
    stat("a) Z 1 7\n", "S", 7),
    [false, 100],
  ],
  "nobody is seen": ["linux", stat("a", "S", 8), [undefined, undefined]],
  "nothing is printed": ["linux", "", [undefined, undefined]],
  "ps shows a process": [
    "darwin",
    "    7 Z+   0:00.00\n  7 Ss   1-02:03:04.50\n",
    [false, 93_784_500],
  ],
  "ps shows zombies": [
    "freebsd",
    "    7 Z+ 0:00.01\n  77 Ss 0:01.00\n",
    [true, 10],
  ],
  "ps prints a line that is no process": [
    "darwin",
    "warning: 7 Ss 0:01.00\n",
    [undefined, undefined],
  ],
  "ps prints something else": [
    "darwin",
    "usage: ps\n",
    [undefined, undefined],
  ],
};

for (const [when, [os, table, expected]] of Object.entries(TABLES)) {
  Deno.test(`readGroup looks at the group when ${when}`, async () => {
    const group = await readGroup(PID, os, () => Promise.resolve(table));
    assertEquals([group?.isDefunct, group?.cpuTime], expected);
  });
}

Deno.test("readGroup finds an id of any length, and columns of any width", async () => {
  const run = () => Promise.resolve(" 1234   Ss    0:01.50\n");
  assertEquals(await readGroup(1234, "darwin", run), {
    isDefunct: false,
    cpuTime: 1500,
  });
});

Deno.test("readGroup is undefined when the processes cannot be listed", async () => {
  const run = () => Promise.reject(new Error("no ps"));
  assertEquals(await readGroup(PID, "darwin", run), undefined);
});

Deno.test("readGroup lists the processes as the system does it", async () => {
  const commands: unknown[] = [];
  const run = (...command: unknown[]) => {
    commands.push(command);
    return Promise.resolve("");
  };
  for (const os of ["linux", "android", "darwin"]) {
    await readGroup(PID, os, run);
  }
  const print =
    'read -r pid _ </proc/self/stat && [ "$pid" = $$ ] && cat /proc/[0-9]*/stat';
  const cat = ["sh", ["-c", print]];
  const ps = ["-A", "-o", "pgid=", "-o", "stat=", "-o", "time="];
  assertEquals(commands, [cat, cat, ["ps", ps]]);
});

Deno.test("listOtherGroups finds the groups of a session, but for that of its leader and of zombies", async () => {
  const table = [
    stat("sh", "S", PID, 1, PID),
    stat("timeout", "S", 8, 1, PID),
    stat("make", "S", 8, 1, PID),
    stat("defunct", "Z", 9, 1, PID),
    stat("threads", "Z", 10, 2, PID),
    stat("other", "S", 11, 1, 11),
  ].join("");
  const list = (os: string, text: string) =>
    listOtherGroups(PID, os, () => Promise.resolve(text));
  assertEquals(await list("linux", table), [8, 10]);
  assertEquals(await list("darwin", " 8 S 0:01.50\n"), []);
  const fail = () => Promise.reject(new Error("no sh"));
  assertEquals(await listOtherGroups(PID, "linux", fail), []);
});
