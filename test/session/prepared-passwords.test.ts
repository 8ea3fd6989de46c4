// Passwords are compared as people type them (RFC 8265): the same one from another keyboard opens, another one does not.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { hashPassword } from "../../src/policy/password-hash.ts";
import { openTrialGateway, type TrialGateway, trialPolicy } from "../listener/trial-gateway.ts";
import { connectClient, plainOf } from "./login-client.ts";

const LOGIN = "ulla@example.test";
const OLD = "otto@example.test";

let gateway: TrialGateway;

beforeAll(async () => {
  const raw = { algorithm: "argon2id", memoryCost: 1024, timeCost: 1 } as const;
  gateway = await openTrialGateway({
    policy: trialPolicy({
      listener: [
        {
          name: "mx",
          listen: "127.0.0.1:0",
          proxy_from: ["127.0.0.0/8"],
          greeting_delay: 0,
          auth: "optional",
          auth_without_tls: true,
        },
      ],
      domain: [{ name: "example.test", rules: [] }],
      sender: [
        {
          login: LOGIN,
          domain: "example.test",
          password_hash: await hashPassword("Z\u00fcrich blau vierzig"),
        },
        // Hashed elsewhere, as it was written there.
        {
          login: OLD,
          domain: "example.test",
          password_hash: await Bun.password.hash("Zu\u0308rich\u00a0blau", raw),
        },
      ],
    }),
  });
});

afterAll(() => gateway[Symbol.asyncDispose]());

test.each([
  ["as it was set", LOGIN, "Z\u00fcrich blau vierzig", "235"],
  ["letters and marks apart", LOGIN, "Zu\u0308rich blau vierzig", "235"],
  ["no-break spaces", LOGIN, "Z\u00fcrich\u00a0blau\u202fvierzig", "235"],
  ["a wide space", LOGIN, "Z\u00fcrich\u3000blau vierzig", "235"],
  ["another case", LOGIN, "z\u00fcrich blau vierzig", "535"],
  ["wide letters", LOGIN, "\uff3a\u00fcrich blau vierzig", "535"],
  ["without the marks", LOGIN, "Zurich blau vierzig", "535"],
  ["a hash from elsewhere", OLD, "Zu\u0308rich\u00a0blau", "235"],
  ["another password there", OLD, "Zu\u0308rich\u00a0rot", "535"],
])("%s", async (_, login, password, code) => {
  const client = await connectClient(gateway.port(), `198.51.100.7`);
  expect(await client.say(plainOf(login, password))).toStartWith(code);
  client.close();
});
