// A gateway that is rolled back finds settings of the newer version: it starts, says so, and nothing passes or bounces for that.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { createPolicyStore } from "../../src/policy/policy-store.ts";
import { gatepostMigrations } from "../../src/store/gatepost-migrations.ts";
import { openDatabase } from "../../src/store/open-database.ts";
import { freePorts } from "../peers/run-command.ts";
import { type RunningGateway, runGateway } from "../peers/run-gateway.ts";
import { alarmNames, sendOne, smallPolicy } from "./gateway-kit.ts";

// A process of its own under a busy machine.
setDefaultTimeout(120_000);

let gateway: RunningGateway;
let ports: { readonly mx: number; readonly extra: number; readonly server: number };

/** No scanner is asked, so that mail passes; `hook` names one that is switched on when the newer version has changed it. */
const policy = () =>
  smallPolicy(
    ports.mx,
    ports.server,
    `[[listener]]
name = "extra"
listen = "127.0.0.1:${ports.extra}"
[[domain]]
name = "two.test"
routes = [{ host = "127.0.0.1", port = ${ports.server}, tls = "none" }]
recipients = { verify = "catch-all" }
rules = []
[[hook]]
name = "clam"
kind = "clamd"
address = "127.0.0.1:9"
enabled = false
`,
  );

beforeAll(async () => {
  ports = await freePorts("mx", "extra", "server");
  gateway = await runGateway({ policy: policy() });
});
afterAll(() => gateway?.dispose());

/** Does to the stopped gateway's settings what a newer version does. */
async function asNewer(changes: Readonly<Record<string, object>>): Promise<void> {
  const path = join(gateway.data, "gatepost.db");
  const database = await openDatabase({
    path,
    migrations: gatepostMigrations,
    log: silentLog,
    onBroken: () => {},
  });
  const store = createPolicyStore(database);
  const rows = await store.load();
  const changed = rows.flatMap((row) => {
    const change = changes[`${row.section} ${row.key}`];
    return change === undefined ? [] : [{ ...row, value: { ...Object(row.value), ...change } }];
  });
  expect(changed).toHaveLength(Object.keys(changes).length);
  await store.rewrite(changed);
  await database.close();
}

test("twice: what hangs on them is put off, the alarms say which; saved anew, all is well", async () => {
  const send = (to: string) => sendOne(ports.mx, { subject: "x", to });
  expect([await send("b@example.test"), await send("b@two.test")].map((said) => said.slice(0, 4))).toEqual([
    "250 ",
    "250 ",
  ]);
  await gateway.stop();
  await asNewer({
    "domain two.test": { greylisting: true },
    "hook clam": { enabled: true, pool: 4 },
    "listener extra": { proxy_v3: true },
    "delivery ": { max_rate: 5 },
  });
  for (const start of ["first", "second"]) {
    await gateway.restart();
    expect(await send("b@two.test"), start).toStartWith("451 4.3.5 ");
    // The scanner that would have judged it is not known.
    expect(await send("b@example.test"), start).toStartWith("451 ");
    expect([...(await alarmNames(gateway))].sort()).toEqual([
      "setting delivery",
      "setting domain two.test",
      "setting hook clam",
      "setting listener extra",
    ]);
    await expect(sendOne(ports.extra, { subject: "x" })).rejects.toThrow();
    if (start === "first") await gateway.stop();
  }
  await gateway.apply(policy());
  expect(await alarmNames(gateway)).toEqual([]);
  expect([await send("b@example.test"), await send("b@two.test")].map((said) => said.slice(0, 4))).toEqual([
    "250 ",
    "250 ",
  ]);
});
