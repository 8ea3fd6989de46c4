// The code that makes an administrator: once, and after `gatepost admin reset` for an hour only.
import { expect, test } from "bun:test";
import { createSetupCode, RESET_VALID_MS } from "../../src/console/setup-code.ts";
import { createAccounts } from "../../src/store/run-accounts.ts";
import { openBooks, temporaryDirectory } from "../store/temporary-database.ts";

const admin = { login: "admin@example.test", role: "administrator", domains: [], passwordHash: "x" } as const;

test("the first one holds until it is used; one of a reset is over after its time", async () => {
  await using directory = temporaryDirectory();
  const database = await openBooks(directory.path);
  let now = 1_795_000_000_000;
  const setup = await createSetupCode(createAccounts(database), { now: () => now });
  const first = setup.current();
  now += 400 * 86_400_000;
  expect(setup.current()).toBe(first);
  // A reset while nobody has an account must not shut everybody out.
  const again = await setup.renew();
  now += 400 * 86_400_000;
  expect(setup.current()).toBe(again);
  await setup.accounts.create(admin);
  expect(setup.current()).toBeNull();

  const reset = await setup.renew();
  now += RESET_VALID_MS - 1;
  expect(setup.current()).toBe(reset);
  now += 1;
  expect(setup.current()).toBeNull();
  now -= 10_000;
  expect(setup.current()).toBeNull();
  expect(await setup.renew()).not.toBe(reset);
  await setup.accounts.create({ ...admin, login: "second" });
  expect(setup.current()).toBeNull();
  await database.close();
});
