// Connections that rest: a bound for all of them together, and they leave when descriptors are needed for something else.
import { afterEach, expect, test } from "bun:test";
import { createRecipientVerifier } from "../../src/delivery/recipient-verify.ts";
import { createRestingLinks } from "../../src/delivery/resting-links.ts";
import { systemClock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { attemptFor, makeDeliverer, noDns, routes, withoutStore } from "./deliverer-fixture.ts";
import { startScriptedPeer, usualServer } from "./scripted-peer.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A mail server that counts who is connected. */
async function countingServer() {
  const serve = usualServer();
  const seen = { now: 0, ever: 0 };
  const peer = await startScriptedPeer(async (talk) => {
    seen.now++;
    seen.ever++;
    try {
      await serve(talk);
    } finally {
      seen.now--;
    }
  });
  open.push(() => peer.close());
  return { peer, seen };
}

async function until(done: () => boolean): Promise<void> {
  for (let n = 0; n < 500 && !done(); n++) await Bun.sleep(10);
}

test("of all that rest only so many stay, whoever opened them, and the youngest are used again", async () => {
  const { peer, seen } = await countingServer();
  const resting = createRestingLinks(4);
  const deliverer = makeDeliverer({ resting });
  const verifier = createRecipientVerifier({
    ...(await withoutStore()),
    resolver: noDns,
    hostname: "gate.example.com",
    clock: systemClock,
    log: silentLog,
    resting,
  });
  open.push(
    () => deliverer.close(0),
    () => verifier.close(),
  );
  const send = async (n: number) => {
    const destination = { ...routes({ port: peer.port }), key: `d${n}.example` };
    const [outcome] = await deliverer.attempt(attemptFor(destination));
    expect(outcome?.result).toBe("delivered");
  };
  for (let n = 0; n < 12; n++) await send(n);
  await until(() => seen.now <= 4);
  expect([seen.now, seen.ever]).toEqual([4, 12]);
  // The four that came last are still there; the first one is opened again.
  for (const n of [8, 9, 10, 11]) await send(n);
  expect(seen.ever).toBe(12);
  await send(0);
  expect(seen.ever).toBe(13);
  for (let n = 0; n < 4; n++) {
    const own = [{ host: "127.0.0.1", port: peer.port, priority: 0, tls: "none" as const }];
    await verifier.verify({ address: `a@v${n}.example`, routes: own, cacheMs: 1000 });
  }
  await until(() => seen.now <= 4);
  expect([seen.now, seen.ever]).toEqual([4, 17]);
  // Those of the deliverer had to leave for those of the verifier.
  await send(11);
  expect(seen.ever).toBe(18);
  expect(resting.cutAll()).toBe(4);
  await until(() => seen.now === 0);
  expect(seen.now).toBe(0);
  await send(11);
  expect(seen.ever).toBe(19);
}, 20_000);

for (const most of [500, 20]) {
  test(`with 120 descriptors mail for 250 destinations leaves, ${most} may rest`, async () => {
    const { peer } = await countingServer();
    const script = `${import.meta.dir}/child/few-descriptors.ts`;
    const command = `ulimit -n 120; exec "$0" "$@"`;
    const child = Bun.spawn(
      ["sh", "-c", command, process.execPath, script, `${peer.port}`, "250", `${most}`],
      {
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual({ delivered: 250 });
  }, 40_000);
}
