// Copyright 2026 the heartbeat authors. MIT license.

/** Finds out once whether something is alive, for the probes of containers. */

import type { Settings } from "./_cli_args.ts";
import { type CliOutput, formatDuration } from "./_cli_output.ts";
import { isLoopback, UsageError } from "./_cli_values.ts";
import { describeRequestFailure } from "./_request_failure.ts";
import { startTimer } from "./_timers.ts";

/** What is looked at. */
export type CheckTarget =
  | { readonly type: "url"; readonly url: URL }
  | { readonly type: "file"; readonly path: string };

/** The longest part of an answer that is shown, in characters. */
const MAX_SHOWN = 200;

/**
 * Reads the words after `check`.
 *
 * @throws {UsageError} If they are not one URL or FILE.
 */
export function parseCheckTarget(words: string[]): CheckTarget {
  const [text, unexpected] = words;
  if (!text) {
    throw new UsageError(
      "missing URL or FILE: check needs one, as in heartbeat check http://localhost:8080/livez",
    );
  }
  if (unexpected !== undefined) {
    throw new UsageError(
      `unexpected argument '${unexpected}': check takes one URL or FILE`,
    );
  }
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(text)) {
    return { type: "file", path: text };
  }
  const url = URL.parse(text);
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    return { type: "url", url };
  }
  throw new UsageError(
    `invalid URL '${text}': check takes one such as http://localhost:8080/livez, or a FILE`,
  );
}

/** Checks what is asked for; resolves to the exit code, and reports why it is not 0. */
export async function runCheck(
  { target, timeout, quiet }: Settings,
  output: CliOutput,
): Promise<number> {
  const problem = target!.type === "url"
    ? await checkUrl(target!.url, timeout)
    : await checkFile(target!.path, timeout);
  if (problem === undefined) return 0;
  if (!quiet) await output.writeNotice(`heartbeat: ${problem}`);
  return 1;
}

/** Why a URL does not answer as it should; `undefined` if it does. */
async function checkUrl(
  url: URL,
  timeout: number,
): Promise<string | undefined> {
  // the rest of the URL may be secret
  const shown = url.origin + url.pathname;
  const late = new AbortController();
  const cancelTimer = startTimer(() => late.abort(), timeout);
  try {
    using client = createDirectClient(url);
    const response = await fetch(url, {
      signal: late.signal,
      ...client && { client },
    });
    if (response.ok) {
      await response.body?.cancel();
      return;
    }
    const line = await readLine(response);
    const answer = `${shown} answered ${response.status}`;
    return line === "" ? answer : `${answer}: ${line}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    if (late.signal.aborted) {
      return `${shown} did not answer for ${formatDuration(timeout)}`;
    }
    return `${shown} cannot be reached: ${describeRequestFailure(error)}`;
  } finally {
    cancelTimer();
  }
}

/**
 * A client that asks this machine itself, if that is meant: the proxy of the
 * environment, which containers often inherit, means another one.
 */
function createDirectClient(
  { protocol, hostname, port }: URL,
): Deno.HttpClient | undefined {
  if (protocol !== "http:" || !isLoopback(hostname)) return;
  return Deno.createHttpClient({
    proxy: {
      transport: "tcp",
      hostname,
      port: Number(port || 80),
    },
  });
}

/** The first line of an answer, from its first chunk. */
async function readLine({ body }: Response): Promise<string> {
  const reader = body?.getReader();
  const chunk = await reader?.read();
  reader?.cancel().catch(() => {});
  const text = new TextDecoder().decode(chunk?.value);
  return text.trim().split(/[\r\n]/, 1)[0]!.slice(0, MAX_SHOWN);
}

/** A host and a port, and perhaps a path. */
const LIKE_URL = /^[\w.-]+:\d+(\/|$)/;

/** Why a file is no sign of life; `undefined` if it is one. */
async function checkFile(
  path: string,
  timeout: number,
): Promise<string | undefined> {
  try {
    const { mtime } = await Deno.stat(path);
    const age = Date.now() - (mtime?.getTime() ?? -Infinity);
    if (age <= timeout) return;
    return `'${path}' was modified ${
      formatDuration(age)
    } ago, which is more than ${formatDuration(timeout)}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    if (!(error instanceof Deno.errors.NotFound)) {
      return `cannot look at '${path}': ${(error as Error).message}`;
    }
    const hint = LIKE_URL.test(path) ? ": a URL begins with http://" : "";
    return `'${path}' does not exist${hint}`;
  }
}
