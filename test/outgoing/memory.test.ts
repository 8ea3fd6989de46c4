// A hundred thousand identities fit in memory with room to spare; their names keep no header sections alive.
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { benchOf, CLEAN, MINUTE, messageOf, partyAt } from "./outgoing-kit.ts";

const IDENTITIES = 100_000;
const PADDING = "x".repeat(2000);

/** What is alive on the heap and beside it, 10^6 octets. */
function aliveMb(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return (heapSize + extraMemorySize) / 1e6;
}

test("100,000 identities take less than 80 MB, and are all there after a restart", async () => {
  await using bench = await benchOf({
    sender: [
      {
        kind: "ip",
        range: "192.0.2.0/28",
        domain: "example.test",
        identify_by: { header: "X-Client-ID", extract: "^([^;]+)" },
        limits: { per_month: 1_000_000_000 },
        identity_limits: { per_month: 1000, recipients_per_day: 1000 },
      },
    ],
  });
  const party = partyAt(bench, "192.0.2.1");
  const before = aliveMb();
  for (let n = 0; n < IDENTITIES; n++) {
    // A long header section: were the name a part of it, all of it would stay.
    const header = Buffer.from(`X-Client-ID: client-${n}; host=web\r\nX-Padding: ${PADDING}\r\n\r\n`);
    const { identity } = bench.outgoing.identify(party, null, header);
    const message = messageOf(party, identity, [`customer${n}@example.net`]);
    expect(bench.outgoing.admitMessage(message)).toBeNull();
    bench.outgoing.settle(message, { ...CLEAN, counted: message.recipients });
    if (n % 5000 === 4999) {
      bench.clock.pass(MINUTE);
      await bench.outgoing.identities({ limit: 0, offset: 0 });
    }
  }
  bench.clock.pass(MINUTE);
  const { total } = await bench.outgoing.identities({ limit: 0, offset: 0 });
  expect(total).toBe(IDENTITIES + 1);
  expect(aliveMb() - before).toBeLessThan(80);
  await bench.restart();
  expect((await bench.outgoing.identities({ limit: 0, offset: 0 })).total).toBe(IDENTITIES + 1);
  const last = await bench.outgoing.identity({ sender: party.key, identity: `client-${IDENTITIES - 1}` });
  expect(last?.limits).toEqual([
    { limit: "per_month", used: 1, most: 1000, freeAt: null },
    { limit: "recipients_per_day", used: 1, most: 1000, freeAt: null },
  ]);
  expect(aliveMb() - before).toBeLessThan(80);
}, 120_000);
