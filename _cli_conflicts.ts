// Copyright 2026 the heartbeat authors. MIT license.

/** Options that have no effect beside others: nobody means that. */

import { parseServer } from "./_cli_nats.ts";
import type { NetworkSettings } from "./_cli_network.ts";
import type { Flags } from "./_cli_options.ts";
import type { RestartSettings } from "./_cli_restart.ts";
import { UsageError } from "./_cli_values.ts";

/** The settings that others depend on. */
interface ConflictingSettings {
  timeout: number;
  restart: RestartSettings;
  once: boolean;
  network: NetworkSettings | undefined;
}

/**
 * Refuses options that have no effect beside others.
 *
 * @throws {UsageError} If there is one; the message says why.
 */
export function checkConflicts(flags: Flags, settings: ConflictingSettings) {
  const message = findRestartConflict(flags, settings) ??
    findFleetConflict(flags, settings) ??
    findCredentialConflict(flags, settings);
  if (message !== undefined) throw new UsageError(message);
}

function findRestartConflict(
  { restart, retries, within, backoff }: Flags,
  { timeout, restart: { when, maxRestarts } }: ConflictingSettings,
): string | undefined {
  const pace = within !== undefined
    ? "--within"
    : backoff !== undefined
    ? "--backoff"
    : undefined;
  if (when === "never") {
    const isLimited = maxRestarts > 0 && maxRestarts < Infinity;
    const option = isLimited ? "--retries" : pace;
    return option &&
      `${option} does not go with --restart never: nothing is started again`;
  }
  if (maxRestarts === 0) {
    if (restart !== undefined) {
      return `--restart ${restart} does not go with --retries 0: nothing is started again, and without --retries there is no limit`;
    }
    return pace &&
      `${pace} does not go with --retries 0: nothing is started again`;
  }
  if (when === "on-stall" && timeout === Infinity) {
    const option = retries === undefined ? `--restart ${restart}` : "--retries";
    return `${option} needs a --timeout: it restarts what was silent for too long`;
  }
}

function findFleetConflict(
  flags: Flags,
  { timeout, once, network }: ConflictingSettings,
): string | undefined {
  if (once && timeout === Infinity) {
    return "--once needs a --timeout: it ends after that time";
  }
  if (once && network?.group !== undefined) {
    return "--once does not go with --group: it shows all workers, a member of a group has a share";
  }
  const isShareGiven = flags["blind-above"] !== undefined;
  if (isShareGiven && network!.blindAbove < 1 && timeout === Infinity) {
    return "--blind-above needs a --timeout: without one, nobody is silent for too long";
  }
}

function findCredentialConflict(
  { creds }: Flags,
  { network }: ConflictingSettings,
): string | undefined {
  if (!network) return;
  const { cert, key } = network.tls;
  if ((cert === undefined) !== (key === undefined)) {
    const [given, missing] = cert === undefined
      ? ["key", "cert"]
      : ["cert", "key"];
    return `missing --tls-${missing} FILE: --tls-${given} needs it`;
  }
  if (creds !== undefined && parseServer(network.url).user !== undefined) {
    return "--creds does not go with a user in --nats: give one of them";
  }
}
