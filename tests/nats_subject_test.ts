// Copyright 2026 the heartbeat authors. MIT license.

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  createNameReader,
  hasWildcard,
  isNameOf,
  isSubject,
  isSubjectPart,
} from "../_nats_subject.ts";

const name = fc.stringMatching(/^[a-c]{1,2}$/);
const pattern = fc.array(fc.constantFrom("*", "a", "b"), { maxLength: 4 })
  .chain((parts) =>
    fc.constantFrom("*", ">", "a").map((last) => [...parts, last])
  );

/** A pattern, and two subjects that match it. */
const matches = pattern.chain((parts) => {
  const subject = fc.tuple(
    ...parts.map((part) =>
      part === ">"
        ? fc.array(name, { minLength: 1, maxLength: 3 })
        : part === "*"
        ? name.map((one) => [one])
        : fc.constant([part])
    ),
  );
  return fc.tuple(fc.constant(parts), subject, subject);
});

Deno.test("createNameReader reads what the wildcards stand for, and gives no two subjects the same name", () => {
  fc.assert(fc.property(matches, ([parts, one, other]) => {
    const readName = createNameReader(parts.join("."));
    const wild = (subject: (readonly string[])[]) =>
      subject.filter((_, i) => hasWildcard(parts[i]!)).flat().join(".");
    if (!parts.some(hasWildcard)) return assertEquals(readName, undefined);
    const [a, b] = [one, other].map((it) => it.flat().join("."));
    assertEquals(readName!(a!), wild(one));
    assertEquals(readName!(a!) === readName!(b!), a === b);
    assert(isNameOf(one.flat().at(-1)!, a!));
  }));
});

Deno.test("isSubject, isSubjectPart and hasWildcard know the rules of NATS", () => {
  const rows: [string, isSubject: boolean, isPart: boolean, wild: boolean][] = [
    ["a", true, true, false],
    ["a-b_c*d>e", true, true, false],
    ["a.b", true, false, false],
    ["*", true, false, true],
    [">", true, false, true],
    ["a.*.b", true, false, true],
    ["a.>", true, false, true],
    ["a.>.b", false, false, true],
    [">.a", false, false, true],
    ["", false, false, false],
    [".", false, false, false],
    ["a.", false, false, false],
    [".a", false, false, false],
    ["a..b", false, false, false],
    ["a b", false, false, false],
    ["a\r\nPUB b", false, false, false],
    ["a\u2028", false, false, false],
  ];
  for (const [subject, ...expected] of rows) {
    assertEquals(
      [isSubject(subject), isSubjectPart(subject), hasWildcard(subject)],
      expected,
      subject,
    );
  }
});
