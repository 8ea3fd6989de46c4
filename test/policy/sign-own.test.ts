// Mail of our own is signed for the domain the gateway's name lies in.
import { expect, test } from "bun:test";
import { signOwn } from "../../src/policy/sign-as.ts";
import { snapshotOf } from "./policy-fixtures.ts";

const snapshot = await snapshotOf({
  domain: [
    { name: "corp.test", outgoing: { dkim_selector: "gate1" } },
    { name: "mail.other.test" },
    { name: "asleep.test", enabled: false },
  ],
});

test.each([
  ["corp.test", "corp.test gate1"],
  ["gate.corp.test", "corp.test gate1"],
  ["a.b.GATE.corp.test", "corp.test gate1"],
  ["gate.mail.other.test", "mail.other.test null"],
  ["gate.other.test", null],
  ["gate.asleep.test", null],
  ["notcorp.test", null],
  ["localhost", null],
  ["", null],
] as const)("%s", (hostname, wanted) => {
  const order = signOwn(snapshot, hostname);
  expect(order === null ? null : `${order.domain} ${order.selector}`).toBe(wanted);
});
