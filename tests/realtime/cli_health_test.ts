// Copyright 2026 the heartbeat authors. MIT license.

// Who gets an answer of `--health`: a real process, and real requests.

import { assertEquals } from "@std/assert";
import { runCli, startCli, testSideBySide } from "../_cli_process.ts";

/** The status and the body of an answer; `fetch()` chooses its own host. */
async function askOnce(port: number, host: string) {
  using connection = await Deno.connect({ port });
  const lines = ["GET /livez HTTP/1.1", "Connection: close"];
  if (host !== NO_HOST) lines.push(`Host: ${host}`);
  const request = `${lines.join("\r\n")}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const text = await new Response(connection.readable).text();
  const [, status, body] = /^HTTP\/1.1 (\d+) .*\r\n\r\n(.*)\n$/s.exec(text)!;
  return `${status} ${body}`;
}

/** Asks a guarded command for its health, as hosts. */
async function askAs(address: string, hosts: string[]) {
  const cli = startCli([
    ...["--json", `--health=${address}`],
    ...["--", "sleep", "60"],
  ]);
  await cli.waitFor("stderr", '/"}');
  const [, port] = /"url":"http:.*?:(\d+)\/"/.exec(cli.text("stderr"))!;
  const answers = [];
  for (const host of hosts) {
    answers.push(`${host}: ${await askOnce(Number(port), host)}`);
  }
  cli.kill("SIGTERM");
  await cli.ended;
  return answers;
}

/** As a balancer asks by HTTP/1.0. */
const NO_HOST = "none";
const LOCAL = [
  ...["localhost:1", "LOCALHOST", "a.localhost", "127.0.0.2", "[::1]", NO_HOST],
];
const FOREIGN = ["evil.example", "127.evil.example", "localhost.evil.example"];

testSideBySide("--health", {
  async "on loopback answers nobody who came by the name of another site"() {
    for (const address of ["0", "localhost:0"]) {
      const answers = await askAs(address, [...LOCAL, ...FOREIGN, "e vil"]);
      assertEquals(answers, [
        ...LOCAL.map((host) => `${host}: 200 ok`),
        ...FOREIGN.map((host) =>
          `${host}: 403 only localhost is answered, not '${host}'`
        ),
        "e vil: 400 bad request",
      ]);
    }
  },

  async "says which address it cannot serve"() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const address = `127.0.0.1:${listener.addr.port}`;
    const { code, stdout, stderr } = await runCli(
      [`--health=${address}`, "--", "echo", "started"],
    );
    assertEquals([code, stdout, stderr], [
      125,
      "",
      `heartbeat: cannot serve the health at ${address}: Address already in use (os error 98)\n`,
    ]);
  },

  async "on all addresses answers to every name"() {
    const hosts = [...LOCAL, ...FOREIGN, "10.1.2.3"];
    const answers = await askAs("0.0.0.0:0", hosts);
    assertEquals(answers, hosts.map((host) => `${host}: 200 ok`));
  },
});
