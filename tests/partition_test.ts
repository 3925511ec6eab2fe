// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import { getOwner, getPartition, hashText } from "../_partition.ts";

const MEMBERS = ["alpha", "beta", "gamma", "delta"];
const PARTITIONS = Array.from({ length: 256 }, (_, partition) => partition);

Deno.test("hashText is FNV-1a with 32 bits over UTF-8", () => {
  // the test vectors of the reference implementation by Noll, and one beyond ASCII
  for (
    const [text, hash] of [
      ["", 0x811c9dc5],
      ["a", 0xe40c292c],
      ["b", 0xe70c2de5],
      ["foobar", 0xbf9cf968],
      ["é", 0x1e9de8c1],
    ] as const
  ) {
    assertEquals(hashText(text).toString(16), hash.toString(16), text);
  }
});

Deno.test("getPartition spreads names evenly and ignores the dots between parts", () => {
  const counts = Array(8).fill(0);
  for (let i = 0; i < 8000; i++) counts[getPartition(`worker-${i}`, 8)]++;
  for (const count of counts) assert(count > 800 && count < 1200, `${counts}`);
  assertEquals(getPartition("build.alpha", 64), hashText("buildalpha") % 64);
  assertEquals(getPartition("anything", 1), 0);
});

Deno.test("getOwner shares the partitions evenly, in whatever order the members come", () => {
  const owners = PARTITIONS.map((partition) => getOwner(partition, MEMBERS));
  for (const member of MEMBERS) {
    const count = owners.filter((owner) => owner === member).length;
    assert(count > 40 && count < 90, `${member} has ${count}`);
  }
  const reversed = MEMBERS.toReversed();
  assertEquals(PARTITIONS.map((each) => getOwner(each, reversed)), owners);
});

Deno.test("getOwner moves only the partitions of the member that comes or goes", () => {
  for (const partition of PARTITIONS) {
    const owner = getOwner(partition, MEMBERS);
    for (const gone of MEMBERS) {
      const rest = MEMBERS.filter((member) => member !== gone);
      if (gone !== owner) assertEquals(getOwner(partition, rest), owner);
    }
  }
});
