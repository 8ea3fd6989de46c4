// Trust of a client is looked up once for a connection: until the settings change or a proxy names another client.
import { expect, test } from "bun:test";
import { isTrustedClient } from "../../src/session/connect.ts";
import { client, snapshotOf } from "../policy/policy-fixtures.ts";

test("asked once for a connection, and anew after a change of the settings or of the client", async () => {
  const trusting = await snapshotOf({ networks: { trusted: ["10.0.0.0/8"] } });
  let asked = 0;
  const watched = {
    ...trusting,
    trustedNetwork: (ip: string) => {
      asked++;
      return trusting.trustedNetwork(ip);
    },
  };
  const session = { client: client({ ip: "10.1.2.3" }), trusted: null };
  for (let n = 0; n < 3; n++) expect(isTrustedClient(session, watched)).toBe(true);
  expect(asked).toBe(1);
  const changed = { ...watched, version: watched.version + 1, trustedNetwork: () => null };
  expect(isTrustedClient(session, changed)).toBe(false);
  expect(isTrustedClient({ ...session, client: client({ ip: "192.0.2.1" }) }, watched)).toBe(false);
});
