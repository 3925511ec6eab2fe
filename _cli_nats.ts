// Copyright 2026 the heartbeat authors. MIT license.

/** How the command line reaches a NATS server. The client is imported only when it is used. */

import type { NetworkSettings } from "./_cli_network.ts";
import { readVariable, requirePermission } from "./_cli_permissions.ts";
import type { NatsConnection } from "./_nats_types.ts";

/** What is imported. It is not analyzable, so nothing else loads or downloads it. */
const CLIENT = "npm:@nats-io/transport-node@3.4.0";

/**
 * How long an attempt to connect may take (ms). The default of the client, 20 s, is
 * how long a watcher would stay blind after a link came back that had lost its bytes.
 */
const CONNECT_MS = 5_000;

/** The port of a server that is given without one. */
const DEFAULT_PORT = 4222;

/** A connection that can be ended. */
export interface CliConnection extends NatsConnection {
  /** What the server says of itself: `cluster` is there if it belongs to one. */
  readonly info?: { cluster?: string };
  /** Sends what waits, then closes. */
  drain(): Promise<void>;
  /** Closes at once. */
  close(): Promise<void>;
}

/** The part of the client that is used. */
interface NatsClient {
  connect(options: Record<string, unknown>): Promise<CliConnection>;
  credsAuthenticator(creds: Uint8Array): unknown;
}

/** URLs as they may be shown, and the credentials in them; commas are between several. */
export function parseServer(url: string) {
  const urls = url.split(",").map((each) =>
    new URL(each.includes("://") ? each : `nats://${each}`)
  );
  if (urls.some(({ host }) => host === "")) throw new TypeError("no host");
  const servers = urls.map(({ protocol, host }) => `${protocol}//${host}`);
  const { username, password } = urls.find(({ username }) => username) ??
    urls[0]!;
  return {
    server: servers.join(","),
    servers,
    isEncrypted: urls.some(({ protocol }) => protocol === "tls:"),
    user: username === "" ? undefined : decodeURIComponent(username),
    pass: password === "" ? undefined : decodeURIComponent(password),
  };
}

/** Checks what the client needs to reach the servers. */
async function checkPermissions(servers: string[], files: string[]) {
  for (const { hostname, port } of servers.map((server) => new URL(server))) {
    // a name is looked up, which no port is permitted for
    const isAddress = /^[\d.]+$|^\[/.test(hostname);
    const host = isAddress ? `${hostname}:${port || DEFAULT_PORT}` : hostname;
    await requirePermission({ name: "net", host }, "--allow-net");
  }
  for (const path of files) {
    await requirePermission({ name: "read", path }, "--allow-read");
  }
}

async function readCredentials(
  { url, creds }: NetworkSettings,
  { credsAuthenticator }: NatsClient,
): Promise<Record<string, unknown>> {
  const file = creds ?? readVariable("NATS_CREDS");
  if (file !== undefined) {
    await requirePermission({ name: "read", path: file }, "--allow-read");
    return { authenticator: credsAuthenticator(await Deno.readFile(file)) };
  }
  const { user, pass } = parseServer(url);
  const all = {
    token: readVariable("NATS_TOKEN"),
    user: user ?? readVariable("NATS_USER"),
    pass: pass ?? readVariable("NATS_PASSWORD"),
  };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined),
  );
}

/**
 * Connects; from then on the client reconnects for as long as it takes.
 *
 * @param network Where, and as whom.
 * @param name What the server shows of this client.
 * @param isPatient Whether to wait for a server that cannot be reached yet.
 */
export async function connectToServer(
  network: NetworkSettings,
  name: string,
  isPatient: boolean,
): Promise<CliConnection> {
  const { servers, isEncrypted } = parseServer(network.url);
  const { ca, cert, key } = network.tls;
  const files = { caFile: ca, certFile: cert, keyFile: key };
  const tls = Object.fromEntries(
    Object.entries(files).filter(([, file]) => file !== undefined),
  );
  await checkPermissions(servers, Object.values(tls) as string[]);
  const client: NatsClient = await import(CLIENT);
  ignoreResets();
  return await client.connect({
    servers,
    name,
    ...await readCredentials(network, client),
    ...((isEncrypted || Object.keys(tls).length > 0) && { tls }),
    waitOnFirstConnect: isPatient,
    timeout: CONNECT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    pingInterval: 1_000,
    maxPingOut: 1,
  });
}

/**
 * The client leaves the socket of a refused connection without a listener: a reset
 * of it would end this process.
 */
function ignoreResets() {
  addEventListener("error", (event) => {
    if (event.error?.code === "ECONNRESET") event.preventDefault();
  });
}
