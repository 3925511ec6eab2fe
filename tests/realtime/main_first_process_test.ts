// Copyright 2026 the heartbeat authors. MIT license.

// The command line as the first process of a container.

import { assert, assertEquals } from "@std/assert";
import { NPM_FLAGS, waitUntil } from "../_help.ts";
import { withTempDir } from "../_command.ts";
import { hasPidNamespaces, startInNamespace } from "./_namespaces.ts";

/** Runs a shell under heartbeat, and calls `body` once the file `ready` is there. */
function guard(
  script: string,
  body: (
    namespace: ReturnType<typeof startInNamespace>,
    folder: string,
  ) => Promise<void>,
) {
  return withTempDir(async (folder) => {
    const flags = ["--no-check", "--no-prompt", "--allow-run", ...NPM_FLAGS];
    const command = ["sh", "-c", `cd ${folder}; ${script}`];
    await using namespace = startInNamespace(
      ["run", ...flags, "main.ts", "--timeout", "1m", "--", ...command],
    );
    const exists = () =>
      Deno.stat(`${folder}/ready`).then(() => true, () => false);
    await waitUntil(exists);
    await body(namespace, folder);
  });
}

/** Its child, which nobody reaps, becomes a zombie. */
const WITH_CHILD =
  "sleep 50 & trap 'echo bye; exit 3' TERM; : > ready; wait; wait";

Deno.test({
  name:
    "heartbeat as first process passes a signal on, and does not wait for zombies",
  ignore: !hasPidNamespaces,
  fn: () =>
    guard(WITH_CHILD, async (namespace) => {
      const start = performance.now();
      await namespace.kill("SIGTERM");
      const { code, stdout, stderr } = await namespace.output;
      const elapsed = performance.now() - start;
      assertEquals([code, stdout, stderr], [143, "bye\n", ""]);
      // the command would be killed after five seconds
      assert(elapsed < 4_000, `it took ${elapsed} ms`);
    }),
});

Deno.test({
  name: "heartbeat as first process forwards SIGHUP and SIGUSR1, and goes on",
  ignore: !hasPidNamespaces,
  fn: () =>
    guard(
      "trap 'echo HUP; : > hup' HUP; trap 'echo USR1; exit 5' USR1; : > ready; while :; do sleep 0.05; done",
      async (namespace, folder) => {
        await namespace.kill("SIGHUP");
        await waitUntil(() =>
          Deno.stat(`${folder}/hup`).then(() => true, () => false)
        );
        await namespace.kill("SIGUSR1");
        const { code, stdout } = await namespace.output;
        assertEquals([code, stdout], [5, "HUP\nUSR1\n"]);
      },
    ),
});

Deno.test({
  name:
    "heartbeat as first process ends a command that ignores signals within the time of a container",
  ignore: !hasPidNamespaces,
  fn: () =>
    guard(
      "trap '' TERM INT HUP; sleep 50 & : > ready; while :; do sleep 0.1; done",
      async (namespace) => {
        const start = performance.now();
        await namespace.kill("SIGTERM");
        const { code } = await namespace.output;
        const elapsed = performance.now() - start;
        assertEquals(code, 143);
        // `docker stop` kills after ten seconds
        assert(elapsed < 10_000, `it took ${elapsed} ms`);
      },
    ),
});
