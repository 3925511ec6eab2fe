// Copyright 2026 the heartbeat authors. MIT license.

import { assertEquals } from "@std/assert";
import { PayloadSlab } from "../_payload_slab.ts";
import { SubjectIndex } from "../_subject_index.ts";
import { mulberry32 } from "./_help.ts";

/** A string of its own, as from a network. */
const fresh = (text: string) => JSON.parse(JSON.stringify(text));

Deno.test("SubjectIndex finds what was added, by any string that is equal, in any order", () => {
  const index = new SubjectIndex(new PayloadSlab());
  assertEquals([index.find("a"), index.find(""), index.size], [-1, -1, 0]);
  const subjects = Array.from({ length: 1_000 }, (_, i) => `heartbeats.w${i}`);
  subjects.push("", "a", "wörker.🫀", "heartbeats.w1.");
  for (const [i, subject] of subjects.entries()) {
    assertEquals(index.find(subject), -1, subject);
    assertEquals(index.add(subject), i);
    assertEquals(index.find(fresh(subject)), i);
  }
  assertEquals(index.size, subjects.length);
  const random = mulberry32(5);
  for (let round = 0; round < 20_000; round++) {
    // the same order for a while, then any other one
    const i = round % 3_000 < 2_000
      ? round % subjects.length
      : Math.floor(random() * subjects.length);
    assertEquals(index.find(fresh(subjects[i]!)), i);
    if (round % 7 === 0) assertEquals(index.find(`x${i}`), -1);
  }
});

Deno.test("SubjectIndex.clear leaves nothing, and begins with 0 again", () => {
  const index = new SubjectIndex(new PayloadSlab());
  for (let i = 0; i < 200; i++) index.add(`a${i}`);
  assertEquals(index.find("a150"), 150);
  index.clear();
  assertEquals([index.size, index.find("a150"), index.find("a0")], [0, -1, -1]);
  assertEquals([index.add("b"), index.find("b")], [0, 0]);
});
