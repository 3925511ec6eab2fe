// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parseArguments, type Settings } from "../_cli_args.ts";
import { runCheck } from "../_cli_check.ts";
import { UsageError } from "../_cli_values.ts";
import { createOutput } from "./_cli_output.ts";
import { forEachRow, runCli } from "./_cli_process.ts";
import { withTempDir } from "./_command.ts";

/** A server that answers by the path of the request. */
function serve() {
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const hanging = Promise.withResolvers<Response>();
  const server = Deno.serve(options, ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname === "/hangs") return hanging.promise;
    if (pathname === "/drips") {
      return new Response(new ReadableStream(), { status: 503 });
    }
    const [, status, text] = pathname.split("/");
    const body = status === "204" ? null : decodeURIComponent(text ?? "");
    return new Response(body, { status: Number(status) });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      hanging.resolve(new Response());
      await server.shutdown();
    },
  };
}

/** Checks once; gives the exit code and what is reported. */
async function check(...args: string[]) {
  const { output, texts } = createOutput();
  const settings = parseArguments(["check", ...args]) as Settings;
  const code = await runCheck(settings, output);
  assertEquals(texts.stdout, "");
  return [code, texts.stderr];
}

Deno.test("check finds out whether a URL answers", async () => {
  await using server = serve();
  const { url } = server;
  const rows: [string, string?][] = [
    ["/200/ok"],
    ["/204"],
    ["/503/[-]beta down\n[+]alpha ok", "answered 503: [-]beta down"],
    ["/404", "answered 404"],
    ["/503/a\x1b[31mb", "answered 503: a\\u001b[31mb"],
    [`/500/${"x".repeat(500)}`, `answered 500: ${"x".repeat(200)}`],
    ["/hangs", "did not answer for 300ms"],
    ["/drips", "did not answer for 300ms"],
  ];
  for (const [path, expected] of rows) {
    const target = `${url}${encodeURI(path)}?key=secret`;
    const shown = `${url}${new URL(target).pathname}`;
    const said = expected ? `heartbeat: ${shown} ${expected}\n` : "";
    assertEquals(await check("--timeout=300ms", target), [+!!expected, said]);
    assertEquals(await check("--quiet", "--timeout=300ms", target), [
      +!!expected,
      "",
    ]);
  }
});

Deno.test("check reports a server that cannot be reached", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = `http://127.0.0.1:${port}/livez`;
  const [code, said] = await check(`${url}?key=secret`);
  assertEquals([code, said], [
    1,
    `heartbeat: ${url} cannot be reached: Connection refused (os error 111)\n`,
  ]);
});

Deno.test("check finds out whether a file was modified lately", () =>
  withTempDir(async (folder) => {
    const path = `${folder}/file`;
    assertEquals(await check(path), [
      1,
      `heartbeat: '${path}' does not exist\n`,
    ]);
    await Deno.writeTextFile(path, "");
    assertEquals(await check(path), [0, ""]);
    const modified = Date.now() / 1_000 - 90;
    await Deno.utime(path, modified, modified);
    assertEquals(await check("--timeout=2m", path), [0, ""]);
    assertEquals(await check("--timeout=none", path), [0, ""]);
    assertEquals(await check("--timeout", "1m", path), [
      1,
      `heartbeat: '${path}' was modified 1.5m ago, which is more than 1m\n`,
    ]);
    // a clock that was set back
    await Deno.utime(path, modified + 1_000, modified + 1_000);
    assertEquals(await check(path), [0, ""]);
    const [code, said] = await check(`${path}/file`);
    assertEquals(code, 1);
    assertMatch(`${said}`, /^heartbeat: cannot look at '.*\n$/);
  }));

Deno.test("check says how a URL begins if a file looks like one", async () => {
  assertEquals(await check("localhost:8080/livez"), [
    1,
    "heartbeat: 'localhost:8080/livez' does not exist: a URL begins with http://\n",
  ]);
});

Deno.test("check takes one URL or file, and is refused with 125", () => {
  const rows: [string[], string][] = [
    [[], "missing URL or FILE"],
    [["a", "b"], "unexpected argument 'b'"],
    [["ftp://a"], "invalid URL 'ftp://a'"],
    [["http://"], "invalid URL 'http://'"],
    [["a", "--json"], "--json is not for this use"],
    [["a", "--runtime=1s"], "--runtime '1s' is not for this use"],
    [["a", "--timeout=5"], "5s or 5ms?"],
    [["a", "--bogus"], "unknown option"],
    [["a", "--", "make"], "unexpected argument 'check'"],
  ];
  for (const [args, message] of rows) {
    const error = assertThrows(
      () => parseArguments(["check", ...args]),
      UsageError,
      message,
    );
    assertEquals(error.code, 125);
    assertMatch(error.message, /^[^\r\n]+$/);
  }
  const { timeout } = parseArguments(["check", "a"]) as Settings;
  assertEquals(timeout, 5_000);
});

Deno.test("bad usage is refused with 2 where check is the value of an option", () => {
  for (const args of ["--name check --bogus -- true", "--name=check --bogus"]) {
    const parse = () => parseArguments(args.split(" "));
    assertEquals(assertThrows(parse, UsageError).code, 2);
  }
  const parse = () => parseArguments(["--quiet", "check", "--bogus"]);
  assertEquals(assertThrows(parse, UsageError).code, 125);
});

Deno.test("heartbeat check exits with 0 or 1, and with 125 where it may not look", async () => {
  await using server = serve();
  await forEachRow(
    [
      [["check", `${server.url}/200`], true, 0, /^$/],
      [["check", `${server.url}/503`], true, 1, /^heartbeat: http.* 503\n$/],
      [["check", "main.ts", "--timeout=none"], true, 0, /^$/],
      [["check", "no-such-file"], true, 1, /^heartbeat: 'no-such-file' .*\n$/],
      [["check", "main.ts"], false, 125, /^heartbeat: .*--allow-read.*\n$/],
      [
        ["check", "http://192.0.2.1"],
        false,
        125,
        /^heartbeat: .*--allow-net.*\n$/,
      ],
      [["check", "--bogus"], false, 125, /^heartbeat: unknown .*\n$/],
    ] as const,
    async ([args, allowRead, expected, said]) => {
      const { code, stdout, stderr } = await runCli([...args], { allowRead });
      assertEquals([code, stdout], [expected, ""], stderr);
      assertMatch(stderr, said);
    },
  );
});

Deno.test("heartbeat check asks this machine itself, whatever the proxy of the environment", async () => {
  await using server = serve();
  const { port } = new URL(server.url);
  await forEachRow([
    [`${server.url}/200`, 0, /^$/],
    [`http://localhost:${port}/200`, 0, /^$/],
    [`${server.url}/503`, 1, / answered 503\n$/],
  ], async ([url, expected, said]) => {
    const env = {
      HTTP_PROXY: "http://127.0.0.1:1",
      http_proxy: "http://127.0.0.1:1",
    };
    const { code, stderr } = await runCli(["check", `${url}`], {
      env,
      allowNet: true,
    });
    assertEquals(code, expected, stderr);
    assertMatch(stderr, said as RegExp);
  });
});
