// Copyright 2026 the heartbeat authors. MIT license.

// Runs as the first process of a PID namespace, which never reaps the orphans that become its children.
// deno-lint-ignore-file no-console

import { startCommand } from "../../command.ts";

const NEVER_MS = 600_000;

/** Its child is a zombie once both were killed, and nobody reaps it. */
async function stopWithZombie() {
  const aborter = new AbortController();
  const command = startCommand("sh", {
    args: ["-c", "sleep 50 & echo ready; wait"],
    killAfter: NEVER_MS,
    signal: aborter.signal,
  });
  for await (const _ of command.results) aborter.abort();
  await command.finished;
  console.log("stopped");
}

/** The next process gets the id `pid`, unless a thread takes it: then try again. */
async function startStranger(pid: number) {
  for (;;) {
    await Deno.writeTextFile("/proc/sys/kernel/ns_last_pid", String(pid - 1));
    const stranger = new Deno.Command("sleep", { args: ["50"], detached: true })
      .spawn();
    if (stranger.pid === pid) return stranger;
    stranger.kill("SIGKILL");
    await stranger.status;
  }
}

/** Ends once a process of another session has said whose child it is. */
const ESCAPE = `file=$(mktemp -u)
  setsid sh -c 'echo $PPID; : > "$0"; exec sleep 50' $file &
  until [ -e $file ]; do sleep 0.01; done
  rm $file`;

/** The command ends while an escaped process holds its output, and a stranger gets its id. */
async function spareStranger() {
  const aborter = new AbortController();
  const command = startCommand("sh", {
    args: ["-c", ESCAPE],
    killAfter: NEVER_MS,
    signal: aborter.signal,
  });
  let pid = 0;
  const ended = (async () => {
    for await (const { bytes } of command.results) {
      pid = Number(new TextDecoder().decode(bytes));
    }
  })();
  while (pid === 0 || exists(pid)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const stranger = await startStranger(pid);
  aborter.abort();
  await ended;
  await command.finished;
  console.log(exists(pid) ? "spared" : "signalled");
  stranger.kill("SIGKILL");
  await stranger.status;
}

function exists(pid: number) {
  try {
    // deno-lint-ignore no-explicit-any
    Deno.kill(pid, 0 as any);
    return true;
  } catch {
    return false;
  }
}

if (Deno.args[0] === "zombie") await stopWithZombie();
else await spareStranger();
