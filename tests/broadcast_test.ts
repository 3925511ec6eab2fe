// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { Broadcast } from "../_broadcast.ts";

function createBroadcast(maxWaiting = 3) {
  const counts = { empty: 0 };
  const broadcast = new Broadcast({
    maxWaiting,
    onEmpty: () => counts.empty++,
  });
  return { broadcast, counts };
}

Deno.test("Broadcast sends each text to all clients, after what each begins with", async () => {
  const { broadcast, counts } = createBroadcast();
  const one = broadcast.connect(["first of one"]);
  broadcast.send("a");
  const two = broadcast.connect([]);
  broadcast.send("b");
  assertEquals(broadcast.size, 2);
  broadcast.close();
  broadcast.close();
  assertEquals(await Array.fromAsync(one), ["first of one", "a", "b"]);
  assertEquals(await Array.fromAsync(two), ["b"]);
  assertEquals([broadcast.size, counts.empty], [0, 1]);
});

Deno.test("Broadcast disconnects a client that does not read, and no other", async () => {
  const { broadcast } = createBroadcast(2);
  const slow = broadcast.connect([]);
  const quick = broadcast.connect([]).getReader();
  const read: unknown[] = [];
  for (const text of ["a", "b", "c", "d"]) {
    broadcast.send(text);
    read.push((await quick.read()).value);
  }
  assertEquals(broadcast.size, 1);
  assertEquals(await Array.fromAsync(slow), ["a", "b"]);
  assertEquals(read, ["a", "b", "c", "d"]);
  await quick.cancel();
});

Deno.test("Broadcast disconnects a client whose beginning is too long", async () => {
  const { broadcast, counts } = createBroadcast(2);
  const client = broadcast.connect(["a", "b", "c", "d"]);
  assertEquals([broadcast.size, counts.empty], [0, 1]);
  assertEquals(await Array.fromAsync(client), ["a", "b"]);
});

Deno.test("Broadcast reports when the last client has left", async () => {
  const { broadcast, counts } = createBroadcast();
  const one = broadcast.connect([]);
  const two = broadcast.connect([]);
  await one.cancel();
  assertEquals([broadcast.size, counts.empty], [1, 0]);
  await two.cancel();
  assertEquals([broadcast.size, counts.empty], [0, 1]);
  broadcast.send("nobody gets it");
});

Deno.test("Broadcast disconnects a client that comes after the end", async () => {
  const { broadcast } = createBroadcast();
  assertEquals(broadcast.isOpen, true);
  broadcast.close();
  assertEquals(broadcast.isOpen, false);
  assertEquals(await Array.fromAsync(broadcast.connect(["a"])), ["a"]);
  assertEquals(broadcast.size, 0);
});
