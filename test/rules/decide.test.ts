// Case files: rules, facts and a subject in, the verdict out. Every key a case gives for the verdict must be met.
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { addressKey } from "../../src/message/address.ts";
import type { Facts } from "../../src/rules/fact.ts";
import { address, CHEAP_HASH, snapshotOf } from "../policy/policy-fixtures.ts";

interface Case {
  readonly name: string;
  readonly rules: readonly object[];
  readonly facts: Facts;
  readonly subject: {
    readonly recipient: string;
    readonly direction: "inbound" | "outbound" | "internal";
    readonly reversePath?: string;
    readonly login?: string;
    readonly clientIp?: string;
  };
  readonly verdict: object;
}

const folder = "test/rules/decide-cases";
const surroundings = {
  domain: [{ name: "example.test" }],
  sender: [
    { login: "alice@example.test", domain: "example.test", password_hash: CHEAP_HASH },
    { kind: "ip", range: "192.0.2.32/28", domain: "example.test" },
  ],
};

for (const file of readdirSync(folder).sort()) {
  const { about, cases }: { about: string; cases: readonly Case[] } = await Bun.file(
    `${folder}/${file}`,
  ).json();
  describe(`${file}: ${about}`, () => {
    test.each([...cases])("$name", async ({ rules, facts, subject, verdict }) => {
      const snapshot = await snapshotOf({ ...surroundings, rule: rules });
      const asked = {
        recipient: address(subject.recipient),
        direction: subject.direction,
        reversePath: subject.reversePath === undefined ? null : address(subject.reversePath),
        login: subject.login === undefined ? null : addressKey(subject.login),
        ...(subject.clientIp === undefined ? {} : { clientIp: subject.clientIp }),
      };
      const decided = snapshot.decide(facts, asked);
      expect(decided).toMatchObject(verdict);
      expect(snapshot.decide(facts, asked)).toEqual(decided);
    });
  });
}
