// Copyright 2026 the heartbeat authors. MIT license.

import { Random } from "../_random.ts";

const NAMES = [
  "",
  "a",
  "alpha",
  "__proto__",
  "constructor",
  "\0",
  "ü",
  "\ud800",
];
export const FIELDS = ["worker", "seq", "time", "detail"];

/** A message: what kind of one, and its bytes. */
export type Message = [kind: string, data: Uint8Array];

const encode = (text: string) => new TextEncoder().encode(text);

/** Makes up messages. */
export class MessageMaker extends Random {
  readonly #kinds: Record<string, () => string | Uint8Array> = {
    right: () => this.#object(this.#fields()),
    bytes: () =>
      Uint8Array.from({ length: this.below(200) }, () => this.below(256)),
    value: () => this.#value(),
    "wrong field": () => this.#wrongField(),
    // the last one of two counts
    "two of one": () => this.#object([...this.#fields(), ...this.#fields()]),
    inherited: () => this.#inherited(),
    deep: () =>
      this.chance(0.5)
        ? this.#deep()
        : this.#object([...this.#fields(), `"detail":${this.#deep()}`]),
    huge: () => {
      const detail = "é".repeat(this.below(300_000));
      return this.#object([...this.#fields(), `"detail":"${detail}"`]);
    },
    mutated: () => this.#mutated(),
  };

  /** The next message; its bytes may lie within others. */
  message(): Message {
    // what is large is rare
    const some = Object.keys(this.#kinds).filter((kind) =>
      this.chance(0.02) || !/deep|huge/.test(kind)
    );
    const kind = this.pick(some);
    const made = this.#kinds[kind]!();
    const bytes = typeof made === "string" ? encode(made) : made;
    if (this.chance(0.5)) return [kind, bytes];
    const around = new Uint8Array(bytes.length + 20).fill(0x7b);
    around.set(bytes, 10);
    return [kind, around.subarray(10, 10 + bytes.length)];
  }

  #name() {
    return this.chance(0.01)
      ? "x".repeat(this.below(100_000))
      : `${this.pick(NAMES)}${this.below(5)}`;
  }

  /** Any value, as it stands in JSON. */
  #value(depth = 0): string {
    const list = () =>
      Array.from({ length: this.below(4) }, () => this.#value(depth + 1));
    const entry = (value: string) =>
      `${JSON.stringify(this.pick([...NAMES, ...FIELDS, "toJSON"]))}:${value}`;
    return this.pick([
      () => this.pick(["null", "true", "false"]),
      () => this.pick(["0", "-0", "1", "1.5", "-1", "1e999"]),
      () =>
        this.pick(["9007199254740991", "9007199254740992", "5e-324", "1e21"]),
      () => JSON.stringify(this.#name()),
      () => depth > 3 ? "[]" : `[${list()}]`,
      () => depth > 3 ? "{}" : `{${list().map(entry)}}`,
    ])();
  }

  /** Brackets, more than any stack holds calls. */
  #deep() {
    const depth = 1 + this.below(100_000);
    const [open, close] = this.pick([["[", "]"], ['{"a":', "}"]]);
    return open!.repeat(depth) + this.pick(["0", ""]) +
      close!.repeat(depth - this.below(2));
  }

  /** The fields of a heartbeat, in any order, as they stand in JSON. */
  #fields() {
    const all = [
      `"worker":${JSON.stringify(this.#name())}`,
      `"seq":${this.below(1_000)}`,
      `"time":${this.pick(["0", "1700000000000", "-1", "0.5"])}`,
      ...(this.chance(0.5) ? [`"detail":${this.#value()}`] : []),
    ];
    return all.sort(() => this.next() - 0.5);
  }

  #object(fields: string[]) {
    return `{${fields.join(this.chance(0.9) ? "," : " ,\n")}}`;
  }

  #wrongField() {
    const name = `"${this.pick(FIELDS)}":`;
    const others = this.#fields().filter((field) => !field.startsWith(name));
    return this.#object(
      this.chance(0.2) ? others : [...others, name + this.#value()],
    );
  }

  #inherited() {
    const key = this.pick(["__proto__", "constructor", "prototype"]);
    const all = this.#object(this.#fields());
    return `{"${key}":${this.pick([all, `{"prototype":${all}}`])}${
      this.chance(0.3) ? `,${this.#fields()}` : ""
    }}`;
  }

  #mutated() {
    const bytes = [...encode(this.#object(this.#fields()))];
    for (let n = 1 + this.below(4); n > 0; n--) this.#mutate(bytes);
    return Uint8Array.from(bytes);
  }

  #mutate(bytes: number[]) {
    const at = this.below(bytes.length);
    // one by one: too many arguments overflow the stack
    const insert = (more: Iterable<number>) => {
      for (const byte of [...more, ...bytes.splice(at)]) bytes.push(byte);
    };
    this.pick<() => unknown>([
      () => bytes.splice(at, 1, this.below(256)),
      () => bytes.splice(at, 1 + this.below(5)),
      () => insert(encode(this.pick([...'"\\{}[],:0-e \0']))),
      () => bytes.splice(at),
      () => insert(bytes.slice(this.below(at + 1), at)),
      // no UTF-8: overlong, half of a pair, not one whole
      () => insert(this.pick([[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]])),
      () => bytes.unshift(0xef, 0xbb, 0xbf),
    ])();
  }
}
