import type { FakeTime } from "@std/testing/time";

/** Children resolve @std as this process does; under coverage they inherit where to write it. */
export const NPM_FLAGS =
  /^npm:|\/node_modules\//.test(import.meta.resolve("@std/assert"))
    ? ["--import-map=import_map.npm.json", "--node-modules-dir=auto"]
    : [];

/** Lets time pass in steps, with the microtasks run between and after them. */
export async function pass(time: FakeTime, ms: number, step = 50) {
  for (let rest = ms; rest > 0; rest -= step) {
    await time.tickAsync(Math.min(step, rest));
  }
  await time.runMicrotasks();
}

/** A source that is fed by hand, and tells how it was cancelled. */
export function byHand<T>() {
  const source = {} as {
    stream: ReadableStream<T>;
    controller: ReadableStreamDefaultController<T>;
    cancelled?: unknown;
  };
  source.stream = new ReadableStream<T>({
    start: (controller) => void (source.controller = controller),
    cancel: (reason) => void (source.cancelled = reason),
  });
  return source;
}

export function randomBytes(size: number) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

/** Whether a process runs; one that ended and was not reaped yet, a zombie, does not. */
export async function runs(pid: number) {
  const args = ["-o", "stat=", "-p", String(pid)];
  const stat = Deno.build.os === "linux"
    ? await Deno.readTextFile(`/proc/${pid}/stat`)
      .then((line) => line.slice(line.lastIndexOf(")") + 2), () => "")
    : new TextDecoder().decode(
      (await new Deno.Command("ps", { args }).output()).stdout,
    );
  return /^[^Z\s]/.test(stat);
}
