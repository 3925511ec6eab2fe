// Copyright 2026 the heartbeat authors. MIT license.

// Node's own `fetch` is undici, which ends a body by itself after 300 s without a
// byte. Its `Agent`, without an import of undici, is that of the global dispatcher.

interface Server {
  listen(port: number, host: string, callback: () => void): void;
  address(): { port: number };
  close(): void;
  closeAllConnections(): void;
}

interface ServerResponse {
  writeHead(status: number): void;
  write(text: string): void;
  on(event: "close", listener: () => void): void;
}

type AgentClass = new (options: { bodyTimeout: number }) => unknown;

/** The `Agent` of this runtime's own undici, if it has one. */
export async function findAgent(): Promise<AgentClass | undefined> {
  await fetch("data:,"); // the first use sets the dispatcher
  const key = Symbol.for("undici.globalDispatcher.1");
  const scope = globalThis as { [key: symbol]: object | undefined };
  return scope[key]?.constructor as AgentClass | undefined;
}

/** A `fetch` with this limit between two chunks of a body; 0 is none. */
export function fetchWith(Agent: AgentClass, bodyTimeout: number) {
  const dispatcher = new Agent({ bodyTimeout });
  return (input: RequestInfo | URL, init?: RequestInit) =>
    fetch(input, { ...init, dispatcher } as RequestInit);
}

/** A server that sends a little, and then nothing. `closed` counts the connections that are closed. */
export async function startSilentServer() {
  const module = "node:http"; // no bundler resolves it
  const { createServer } = await import(module);
  let closed = 0;
  const server: Server = createServer((_: unknown, answer: ServerResponse) => {
    answer.writeHead(200);
    answer.write("alive");
    answer.on("close", () => void closed++);
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    get closed() {
      return closed;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What collects the garbage of Node.js at once. */
export async function findGarbageCollector(): Promise<() => void> {
  const modules = ["node:v8", "node:vm"]; // no bundler resolves them
  const [v8, vm] = await Promise.all(modules.map((name) => import(name)));
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("gc");
}
