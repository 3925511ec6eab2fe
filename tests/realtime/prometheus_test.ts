// Copyright 2026 the heartbeat authors. MIT license.

// Prometheus itself scrapes a handler, and answers what the dashboard asks.

import { assert, assertEquals } from "@std/assert";
import { FleetMonitor } from "../../fleet.ts";
import { createHealthHandler } from "../../health.ts";
import { hasProgram } from "../_recipes.ts";
import { freePort } from "../_nats.ts";
import { waitUntil } from "../_help.ts";

const folder = new URL("../../examples/prometheus/", import.meta.url);
const hasPrometheus = await hasProgram("prometheus");

/** A fleet of two, of which one is down, and its server. */
function serveFleet() {
  const fleet = new FleetMonitor({ timeout: 500 });
  fleet.expect(["beta"]);
  const beat = setInterval(() => fleet.beat("alpha", 1), 100);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    createHealthHandler(fleet),
  );
  return {
    address: `127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      clearInterval(beat);
      for (const name of ["alpha", "beta"]) fleet.remove(name);
      await fleet.writable.close();
      await server.shutdown();
    },
  };
}

/** Starts Prometheus with the example's configuration, for another target. */
async function startPrometheus(target: string) {
  const data = await Deno.makeTempDir();
  const config = await Deno.readTextFile(new URL("prometheus.yml", folder));
  await Deno.writeTextFile(
    `${data}/prometheus.yml`,
    config.replace("localhost:8080", target).replaceAll("15s", "1s"),
  );
  await Deno.copyFile(new URL("rules.yml", folder), `${data}/rules.yml`);
  const address = `127.0.0.1:${freePort()}`;
  const child = new Deno.Command("prometheus", {
    args: [
      `--config.file=${data}/prometheus.yml`,
      `--storage.tsdb.path=${data}/tsdb`,
      `--web.listen-address=${address}`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  return {
    async ask(path: string, query = "") {
      const url = `http://${address}/api/v1/${path}?${query}`;
      const response = await fetch(url).catch(() => undefined);
      if (response?.ok) return await response.json();
      // it is not ready
      await response?.body?.cancel();
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await Deno.remove(data, { recursive: true });
    },
  };
}

Deno.test({
  name: `Prometheus scrapes createHealthHandler, and answers the dashboard${
    hasPrometheus ? "" : " (ignored: there is no prometheus)"
  }`,
  ignore: !hasPrometheus,
  async fn() {
    await using fleet = serveFleet();
    await using prometheus = await startPrometheus(fleet.address);
    const query = async (text: string) => {
      const query = new URLSearchParams({ query: text }).toString();
      const answer = await prometheus.ask("query", query);
      if (answer) assertEquals(answer.status, "success", text);
      return answer?.data.result ?? [];
    };
    const down = 'heartbeat_workers{job="heartbeat",state="down"}';
    await waitUntil(async () => (await query(down))[0]?.value[1] === "1");
    const [{ value }] = await query('heartbeat_workers{state="up"}');
    assertEquals(value[1], "1");
    // a rate needs two scrapes
    await waitUntil(async () =>
      (await query("increase(heartbeat_stalls_total[1m])")).length > 0
    );
    const text = await Deno.readTextFile(new URL("dashboard.json", folder));
    for (const { targets, title } of JSON.parse(text).panels) {
      for (const { expr } of targets) {
        const asked = expr.replaceAll(/\$__(rate_interval|range)/g, "1m")
          .replaceAll("$job", "heartbeat");
        assert((await query(asked)).length > 0, title);
      }
    }
    await waitUntil(async () => {
      const answer = await prometheus.ask("alerts");
      return answer?.data.alerts[0]?.labels.alertname === "HeartbeatWorkerDown";
    });
  },
});
