// Trusted networks under outgoing control: whose mail it is, what is excepted, and that the plan says so (O2, O12).
import { expect, test } from "bun:test";
import { address, client, MemoryStore, settingsOn, snapshotOf } from "./policy-fixtures.ts";

const LISTENER = { name: "mx", listen: "127.0.0.1:2525", relay: ["trusted-networks"] };
const BASE = {
  listener: [LISTENER],
  domain: [
    { name: "a.test" },
    { name: "b.test" },
    { name: "sub.b.test" },
    { name: "asleep.test", enabled: false },
  ],
};

test("what is excepted must lie in a trusted network, and every plan says what that means", async () => {
  const settings = await settingsOn(new MemoryStore(), { initial: BASE });
  const plan = (networks: object) => settings.plan({ networks }, { prune: false });
  const good = await plan({
    trusted: ["10.0.0.0/8", "2001:db8::/64"],
    excepted: ["10.1.0.0/16", "2001:db8::1"],
  });
  expect(good.ok && good.warnings.filter((words) => words.startsWith("networks:"))).toEqual([
    "networks: 10.1.0.0/16 is excepted from outgoing control: its mail is not counted, limited, locked or reported, whoever sends it",
    "networks: 2001:db8::1/128 is excepted from outgoing control: its mail is not counted, limited, locked or reported, whoever sends it",
  ]);
  for (const excepted of ["192.0.2.1", "10.0.0.0/7", "::ffff:0:0/96"]) {
    const bad = await plan({ trusted: ["10.0.0.0/8"], excepted: [excepted] });
    expect(bad.ok ? null : bad.problems[0]?.path).toBe("networks.excepted[0]");
  }
});

const snapshot = await snapshotOf({
  ...BASE,
  networks: { trusted: ["10.0.0.0/8", "10.2.0.0/16"], excepted: ["10.1.0.0/16"] },
});

function party(ip: string, path: string | null, ...from: readonly string[]): string | null {
  const listener = snapshot.listener("mx");
  if (listener === null) throw new Error("no listener");
  const writers = { reversePath: path === null ? null : address(path), from: from.map(address) };
  const found = snapshot.outgoingParty(listener, client({ ip }), writers);
  return found === null ? null : `${found.key} = ${snapshot.writerOf(found, writers, ip)}`;
}

test.each([
  ["10.0.0.1", "ann@a.test", ["ann@a.test"], "a.test via 10.0.0.0/8 = ann@a.test"],
  ["10.2.0.1", "ann@a.test", ["ann@a.test"], "a.test via 10.2.0.0/16 = ann@a.test"],
  ["10.0.0.1", "ann@a.test", ["info@b.test"], "a.test via 10.0.0.0/8 = ann@a.test"],
  ["10.0.0.1", "www-data@web.lan", ["shop@b.test"], "b.test via 10.0.0.0/8 = shop@b.test"],
  ["10.0.0.1", "root@web1.a.test", ["root@web1.a.test"], "a.test via 10.0.0.0/8 = root@web1.a.test"],
  ["10.0.0.1", "x@host.sub.b.test", [], "sub.b.test via 10.0.0.0/8 = x@host.sub.b.test"],
  ["10.0.0.1", null, ["ann@a.test"], "a.test via 10.0.0.0/8 = ann@a.test"],
  ["10.0.0.1", null, ["MAILER-DAEMON@mx.lan"], "10.0.0.0/8 = (bounces of 10.0.0.1)"],
  ["10.0.0.1", "friend@far.example", ["friend@far.example"], "10.0.0.0/8 = (forwards of 10.0.0.1)"],
  [
    "10.0.0.1",
    "SRS0=h=t=far.example=friend@a.test",
    ["friend@far.example"],
    "a.test via 10.0.0.0/8 = (forwards of 10.0.0.1)",
  ],
  ["10.1.0.1", "ann@a.test", ["ann@a.test"], null],
  ["192.0.2.1", "ann@a.test", ["ann@a.test"], null],
] as const)("%s, envelope %s, From %j", (ip, path, from, wanted) => {
  expect(party(ip, path, ...from)).toBe(wanted);
});

test("its key finds the same again, as long as network and domain are there", () => {
  expect(snapshot.partyOfKey("a.test via 10.0.0.0/8")?.domain?.name.toString()).toBe("a.test");
  expect(snapshot.partyOfKey("10.0.0.0/8")?.domain).toBeNull();
  // Switched off it is still there: its limits and locks are shown.
  expect(snapshot.partyOfKey("asleep.test via 10.0.0.0/8")?.domain?.name.toString()).toBe("asleep.test");
  for (const gone of ["a.test via 10.9.0.0/16", "c.test via 10.0.0.0/8", "a via b via c", ""])
    expect(snapshot.partyOfKey(gone)).toBeNull();
});
