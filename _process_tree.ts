// Copyright 2026 the heartbeat authors. MIT license.
// This module is browser compatible.

import type { GroupState } from "./_process_table.ts";
import { limitTime, sleep } from "./_timers.ts";

/** The name of a signal; the runtime decides which it knows. */
export type SignalName = `SIG${string}`;

/** What a signal came to: `denied` if the system or the runtime does not permit it. */
export type SendResult = "sent" | "missing" | "denied";

/** The processes of this machine, as the runtime gives access to them. */
export interface ProcessSystem {
  /** Windows has no process groups, and no process there can be asked to end. */
  readonly hasProcessGroups: boolean;
  /**
   * Signals a process, or a whole group if `pid` is negative. The signal 0 is
   * not sent, it only finds out whether it could be.
   *
   * @throws {TypeError} If there is no such signal.
   */
  kill(pid: number, signal: SignalName | 0): SendResult;
  /** Kills a process and its descendants, where there are no groups. */
  killTree(pid: number): SendResult;
  /** Looks at a group; `undefined` if nothing of it can be found out. */
  readGroup(pgid: number): Promise<GroupState | undefined>;
  /** Lists the other groups of the session that a process leads or led. */
  listOtherGroups(sid: number): Promise<number[]>;
}

/** The first process of a tree. It leads a process group of its own. */
export interface GroupLeader {
  /** Its process id, which is the id of its group, too. */
  readonly pid: number;
  /** Settles once it has ended and was reaped. */
  readonly exited: Promise<unknown>;
  /** Signals this process alone. Runtimes permit it where they do not permit `kill()`. */
  kill(signal: SignalName): void;
}

/** Key of a private option of `startCommand()`, for the command line. */
export const ON_START: unique symbol = Symbol("onStart");

/** See {@linkcode ON_START}. */
export interface ProcessTreeHook {
  /**
   * Called once the command runs, with its process tree and a function that
   * shows progress: the next heartbeat stands for it.
   */
  [ON_START]?: (
    tree: Pick<ProcessTree, "send" | "readCpuTime">,
    beat: () => void,
  ) => void;
}

/** How often (ms) a tree is looked at while it is to end. */
const POLL_MS = 50;
/** The most looks for which no table of processes is read while something seems to live on. */
const MAX_LOOKS_WITHOUT_SCAN = 8;
/** How long (ms) a tree may take to end after SIGKILL. What the system cannot end by then is left. */
const KILL_WAIT_MS = 300;

/**
 * A process and its descendants: the process group that it leads. When it is to
 * end, so are the other groups of its session, such as those of timeout(1); a
 * process with a session of its own has left the tree.
 *
 * | phase | the leader ends | `send` | a look |
 * | --- | --- | --- | --- |
 * | `led`: the leader runs | → `orphaned`, and a look | signals the group | changes nothing |
 * | `orphaned`: the leader has ended, others of the group lived when it was last looked at | | looks, then signals the group | → `ended` if the group is empty, or there are only zombies |
 * | `ended`: the group was seen empty | | does nothing | changes nothing |
 *
 * Once the leader was reaped and the group is empty, the system may give their
 * id to a stranger. So a group that was seen empty is never signalled again. And
 * as no process is given the id while the group has it, a process with that id
 * is a stranger for sure.
 *
 * Where there are no process groups, the tree ends with its leader.
 */
export class ProcessTree {
  /** Resolves when the leader has ended, however long after SIGKILL that is. */
  readonly leaderEnded: Promise<void>;
  #phase: "led" | "orphaned" | "ended" = "led";
  readonly #leader: GroupLeader;
  readonly #system: ProcessSystem;
  #endGrace = () => {};

  /**
   * @param leader The process.
   * @param system The processes of this machine.
   */
  constructor(leader: GroupLeader, system: ProcessSystem) {
    this.#leader = leader;
    this.#system = system;
    const onEnded = () => this.#onLeaderEnded();
    this.leaderEnded = leader.exited.then(onEnded, onEnded);
  }

  /**
   * Signals the whole tree, if anything of it is left. Does nothing where there
   * are no process groups.
   *
   * @throws {TypeError} If there is no such signal.
   */
  send(signal: SignalName) {
    this.#lookAtGroup();
    if (this.#phase === "ended" || !this.#system.hasProcessGroups) return;
    const result = this.#system.kill(-this.#leader.pid, signal);
    if (result === "denied") this.#signalLeader(signal);
  }

  /**
   * Asks the tree to end, and kills it after `killAfter` milliseconds. Where no
   * process can be asked, it is killed at once.
   *
   * @returns Resolves when nothing of the tree lives, or a moment after
   * SIGKILL, whatever is left then.
   * @throws {TypeError} If there is no such signal.
   */
  terminate(signal: SignalName, killAfter: number): Promise<void> {
    this.send(signal);
    // a stopped process acts on the signal only once it goes on
    this.send("SIGCONT");
    const time = this.#system.hasProcessGroups ? killAfter : 0;
    const grace = new AbortController();
    this.#endGrace = () => grace.abort();
    const others = this.#endOthers(signal, time, grace.signal);
    return Promise.all([this.#waitForEnd(time, grace.signal), others])
      .then(() => {});
  }

  /** Kills a tree that was asked to end without waiting any longer. */
  killNow() {
    this.#endGrace();
  }

  /** The CPU time (ms) that the tree has used; `undefined` if it has ended, or that cannot be found out. */
  async readCpuTime(): Promise<number | undefined> {
    this.#lookAtGroup();
    if (this.#phase === "ended") return undefined;
    return (await this.#system.readGroup(this.#leader.pid))?.cpuTime;
  }

  async #waitForEnd(killAfter: number, grace: AbortSignal) {
    await this.#lookUntilEnded(killAfter, grace);
    if (this.#phase === "ended") return;
    this.#kill();
    await this.#lookUntilEnded(KILL_WAIT_MS);
  }

  /**
   * Ends the other groups of the session, as the tree's own. They are found anew
   * before they are killed: none of them may be a stranger's by then.
   */
  async #endOthers(signal: SignalName, killAfter: number, grace: AbortSignal) {
    const asked = await this.#findOthers();
    if (asked.length === 0) return;
    this.#sendToAll(asked, signal);
    this.#sendToAll(asked, "SIGCONT");
    const rest = await this.#lookUntilAlone(killAfter, grace);
    this.#sendToAll(rest, "SIGKILL");
    if (rest.length > 0) await this.#lookUntilAlone(KILL_WAIT_MS);
  }

  async #findOthers(): Promise<number[]> {
    const { pid } = this.#leader;
    if (!this.#system.hasProcessGroups || this.#isStranger()) return [];
    return await this.#system.listOtherGroups(pid);
  }

  /** Whether another process has the id of the leader by now, and a session of its own. */
  #isStranger() {
    return this.#phase !== "led" &&
      this.#system.kill(this.#leader.pid, 0) !== "missing";
  }

  #sendToAll(groups: number[], signal: SignalName) {
    for (const group of groups) this.#system.kill(-group, signal);
  }

  /** Looks at the other groups until they have ended, the time is over, or `wait` aborts; returns the rest. */
  async #lookUntilAlone(time: number, wait?: AbortSignal): Promise<number[]> {
    const { signal, end } = limitTime(time, wait);
    let groups: number[];
    let pause = POLL_MS;
    do {
      await sleep(pause, signal);
      pause = Math.min(2 * pause, MAX_LOOKS_WITHOUT_SCAN * POLL_MS);
      groups = await this.#findOthers();
    } while (groups.length > 0 && !signal.aborted);
    end();
    return groups;
  }

  /** Looks at the tree until it has ended, the time is over, or `wait` aborts. */
  async #lookUntilEnded(time: number, wait?: AbortSignal) {
    const { signal, end } = limitTime(time, wait);
    let looks = 0;
    let nextScan = 1;
    while (this.#phase !== "ended" && !signal.aborted) {
      await sleep(POLL_MS, signal);
      this.#lookAtGroup();
      if (this.#phase !== "orphaned" || ++looks < nextScan) continue;
      nextScan = looks + Math.min(looks, MAX_LOOKS_WITHOUT_SCAN);
      await this.#lookForZombies();
    }
    end();
  }

  #kill() {
    if (this.#system.hasProcessGroups) return this.send("SIGKILL");
    const result = this.#system.killTree(this.#leader.pid);
    if (result === "denied") this.#signalLeader("SIGKILL");
  }

  /** The group or tree may not be signalled: that is known only while the leader runs. */
  #signalLeader(signal: SignalName) {
    try {
      this.#leader.kill(signal);
    } catch {
      // it belongs to another user: it is waited for, but cannot be ended
    }
  }

  #onLeaderEnded() {
    this.#phase = this.#system.hasProcessGroups ? "orphaned" : "ended";
    this.#lookAtGroup();
  }

  #lookAtGroup() {
    if (this.#phase !== "orphaned") return;
    const { pid } = this.#leader;
    if (this.#isStranger() || this.#system.kill(-pid, 0) !== "sent") {
      this.#phase = "ended";
    }
  }

  /** Zombies do not live, and stay for as long as their parent does not reap them. */
  async #lookForZombies() {
    const group = await this.#system.readGroup(this.#leader.pid);
    if (group?.isDefunct) this.#phase = "ended";
  }
}
