// What nobody can have meant is refused with exit code 64 and words, before anything is done.
import { expect, test } from "bun:test";
import { gatepost } from "./gateway-kit.ts";

test.each([
  [[], "gatepost serve"],
  [["florp"], '"florp" is not a command'],
  [["plan"], "The policy file is missing"],
  [["queue"], "it takes list, retry, hold or drop"],
  [["queue"], '"queue" is the first word of a command'],
  [["log", "--limit", "-3"], "--limit' needs a value"],
  [["queue", "burn"], '"queue burn" is not a command'],
  [["queue", "drop"], "The id of the message to drop is missing"],
  [["queue", "drop", "one", "two"], '"queue drop" does not take "two"'],
  [["lock"], "it takes list or unlock"],
  [["lock", "unlock"], "The sender to unlock is missing"],
  [["lock", "unlock", "a", "b", "c"], '"lock unlock" does not take "c"'],
  [["quarantine", "release"], "The id of the message to release is missing"],
  [["admin"], "it takes reset"],
  [["probe", "127.0.0.1", "--port", "65536"], "from 1 to 65535"],
  [["probe", "127.0.0.1", "--timeout", "0"], "from 1 to 3600"],
  [["log", "--limit", "many"], 'not "many"'],
  [["log", "--prune"], '"log" does not take --prune'],
  [["export", "policy.toml"], '"export" does not take "policy.toml"'],
  [["send-test", "--kind", "worm"], "clean, spam or virus"],
  [["log", "--colour"], "--colour"],
  [["backup"], "The directory to back up to is missing"],
])("%j is refused with 64", async (args, words) => {
  const { code, out, err } = await gatepost(args);
  expect(code).toBe(64);
  expect(err).toContain(words);
  expect(out).toBe("");
});

test.each([
  [["queue", "--help"], "gatepost queue list", "gatepost lock"],
  [["serve", "-h"], "database, bodies or a key", "gatepost plan"],
  [["quarantine", "list", "--help"], "gatepost quarantine release", "gatepost queue"],
])("%j is about that command alone", async (args, words, other) => {
  const { code, out } = await gatepost(args);
  expect(code).toBe(0);
  expect(out).toContain(words);
  expect(out).not.toContain(other);
});
