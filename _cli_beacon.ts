// Copyright 2026 the heartbeat authors. MIT license.

/** The heartbeats of a guarded command, published over NATS. */

import type { NetworkSettings } from "./_cli_network.ts";
import {
  type CliConnection,
  connectToServer,
  parseServer,
} from "./_cli_nats.ts";
import type { GuardObserver, RunEnd } from "./_cli_observers.ts";
import type { CliOutput } from "./_cli_output.ts";
import { HeartbeatPublisher } from "./_nats_publisher.ts";
import { startTimer, waitAtMost } from "./_timers.ts";
import type { Heartbeat } from "./_worker_types.ts";

/** A server that was not reached for so long (ms) is reported. */
const REACH_MS = 5_000;

/** How long the goodbye may take (ms). */
const GOODBYE_MS = 1_000;

/** The longest line in a detail, in characters. */
const MAX_LINE = 200;

/** So many bytes at the end of a chunk are looked at for its last line. */
const TAIL = 4 * MAX_LINE;

/** The last line of some output. */
export class LastLine {
  #line = "";

  /** The last line that was not empty; the first characters of it, if it is long. */
  get text(): string {
    return this.#line;
  }

  /** More output. */
  onChunk(bytes: Uint8Array) {
    const tail = new TextDecoder().decode(bytes.subarray(-TAIL));
    const line = tail.split(/[\r\n]/).findLast((line) => line.trim() !== "");
    if (line !== undefined) this.#line = line.slice(0, MAX_LINE);
  }
}

/**
 * Publishes heartbeats, if it can: it never slows the command and never fails it.
 *
 * | phase | the server is reached | a heartbeat | `end()` | the server refuses |
 * | --- | --- | --- | --- | --- |
 * | `connecting` | → `connected` | keeps the last one | → `ended` | reports it, → `ended` |
 * | `connected` | | sends it | says goodbye, → `ended` | reports it, → `ended` |
 * | `ended` | closes the connection | | | |
 */
export class Beacon implements GuardObserver {
  #phase: "connecting" | "connected" | "ended" = "connecting";
  #network: NetworkSettings;
  #output: CliOutput;
  #connection: CliConnection | undefined;
  #writer: WritableStreamDefaultWriter<Heartbeat> | undefined;
  #last: Heartbeat | undefined;
  #line = new LastLine();

  constructor(network: NetworkSettings, output: CliOutput) {
    this.#network = network;
    this.#output = output;
  }

  /** Connects, in the background. */
  start() {
    this.#connect();
  }

  async #connect() {
    const { name, subject } = this.#network;
    const cancelTimer = startTimer(
      () => this.#report("it was not reached yet"),
      REACH_MS,
    );
    try {
      const connection = await connectToServer(this.#network, name, true);
      cancelTimer();
      if (this.#phase === "ended") return await connection.close();
      this.#connection = connection;
      const { writable } = new HeartbeatPublisher(
        connection,
        `${subject}.${name}`,
        () => {},
      );
      this.#writer = writable.getWriter();
      this.#phase = "connected";
      if (this.#last) this.#send(this.#last);
      await this.#writer.closed;
    } catch (error) {
      cancelTimer();
      await this.#fail(error);
    }
  }

  onChunk(bytes: Uint8Array) {
    this.#line.onChunk(bytes);
  }

  /** Publishes a heartbeat, with the last line of output. */
  onHeartbeat({ seq, time }: Heartbeat) {
    if (this.#phase === "ended") return;
    const { name: worker } = this.#network;
    this.#last = { worker, seq, time, detail: { line: this.#line.text } };
    if (this.#phase === "connected") this.#send(this.#last);
  }

  /** Says goodbye; resolves when that was sent, or cannot be. */
  async end({ code, isPlanned }: RunEnd) {
    const wasConnected = this.#phase === "connected";
    this.#phase = "ended";
    if (!wasConnected) return;
    const seq = (this.#last?.seq ?? 0) + 1;
    const { name: worker } = this.#network;
    const detail = { line: this.#line.text, code };
    this.#send({ worker, seq, time: Date.now(), detail });
    const closed = isPlanned
      ? this.#writer!.close()
      : this.#writer!.abort(new Error("the command failed"));
    const gone = closed.catch(() => {}).then(() => this.#connection!.drain());
    await waitAtMost(gone, GOODBYE_MS);
  }

  #send(beat: Heartbeat) {
    // its failure is that of `closed`
    this.#writer!.write(beat).catch(() => {});
  }

  async #fail(error: unknown) {
    // the end of a writer that was aborted
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.#connection?.close().catch(() => {});
    await this.#report((error as Error).message);
  }

  #report(message: string) {
    const { server } = parseServer(this.#network.url);
    const text = `cannot publish heartbeats to ${server}: ${message}`;
    return this.#output.notify("unpublished", text, { server, message });
  }
}
