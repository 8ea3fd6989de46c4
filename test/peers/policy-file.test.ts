// plan and apply through the command line: applied once there is nothing left to plan, and two gateways with one file agree.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { peerPolicy } from "./peer-policy.ts";
import { EICAR } from "./run-clamd.ts";
import { freePorts } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { testMessage } from "./run-swaks.ts";

const RULES = `
[[rule]]
name = "no-lottery"
description = "Refuses mail about the lottery"
priority = 50
when = 'sender.domain == "example.org" and attachments.count == 0'
action = "mark"
header = { name = "X-Lottery", value = "maybe" }
`;

interface Decision {
  readonly recipients: readonly {
    readonly address: string;
    readonly direction: string;
    readonly verdict: { readonly action: string; readonly rule: string | null; readonly edits: unknown };
  }[];
}

describe("the policy file", () => {
  let first: RunningGateway;
  let second: RunningGateway;
  let policy = "";

  beforeAll(async () => {
    const ports = await freePorts("mx", "submission", "submissions", "server", "outside");
    const others = await freePorts("mx", "submission", "submissions");
    policy = peerPolicy(ports, RULES);
    first = await runGateway({ policy, startEmpty: true });
    second = await runGateway({ policy: peerPolicy({ ...ports, ...others }, RULES) });
  }, 120_000);

  afterAll(async () => {
    await first.dispose();
    await second.dispose();
  }, 120_000);

  test("plan after apply prints no change", async () => {
    expect(await first.plan(policy)).toStartWith("No change.");
    expect(await first.apply(policy)).toStartWith("No change.");
  }, 60_000);

  test("plan names a difference and changes nothing", async () => {
    const changed = policy.replace('"callout"', '"catch-all"');
    expect(await first.plan(changed)).toContain("example.test");
    expect(await first.plan(changed)).toContain("catch-all");
    expect(await first.plan(policy)).toStartWith("No change.");
  }, 60_000);

  test("the exported policy is a file that changes nothing", async () => {
    const { code, out } = await first.command("export");
    expect(code).toBe(0);
    expect(await first.plan(out)).toStartWith("No change.");
  }, 60_000);

  test("a mistake is refused with its place and nothing is changed", async () => {
    const file = join(first.directory, "wrong.toml");
    writeFileSync(file, policy.replace('action = "mark"', 'action = "markk"'));
    const { code, err } = await first.command("apply", file);
    expect(code).not.toBe(0);
    expect(err).toContain("rule[0].action");
    expect(await first.plan(policy)).toStartWith("No change.");
  }, 60_000);

  test("the same file on an empty gateway gives the same decisions", async () => {
    const bodies = { clean: "Good day.", infected: EICAR };
    for (const [name, body] of Object.entries(bodies)) {
      const { text } = testMessage({
        from: "ann@example.org",
        to: "alice@example.test",
        subject: name,
        body,
      });
      const file = join(first.directory, `${name}.eml`);
      writeFileSync(file, text.replaceAll("\n", "\r\n"));
      const ask = async (gateway: RunningGateway) => {
        const { code, out, err } = await gateway.command(
          ...[
            "check",
            file,
            "--from",
            "ann@example.org",
            "--to",
            "alice@example.test",
            "--ip",
            "192.0.2.1",
            "--json",
          ],
        );
        if (code !== 0) throw new Error(err);
        return JSON.parse(out) as Decision;
      };
      const [one, other] = [await ask(first), await ask(second)];
      expect(other).toEqual(one);
      expect(one.recipients[0]?.verdict.action).toBe(name === "clean" ? "accept" : "quarantine");
    }
  }, 60_000);
});
