// `explain`: the question's gaps are filled as an administrator expects, the rules decide, and nonsense is refused in words.
import { expect, test } from "bun:test";
import type { CheckInput } from "../../src/checks/check.ts";
import { createSnapshot } from "../../src/policy/create-snapshot.ts";
import { type ExplainQuestion, explain } from "../../src/session/explain.ts";
import { trialPolicy } from "../listener/trial-gateway.ts";
import { small } from "../message/small-body.ts";
import { START } from "../queue/queue-kit.ts";

const policy = trialPolicy({
  domain: [
    { name: "example.test", recipients: { verify: "catch-all" } },
    { name: "second.test", recipients: { verify: "catch-all" } },
  ],
  networks: { trusted: ["192.0.2.0/28"] },
  rule: [
    { name: "no-invoices", when: 'attachments.names contains "invoice.pdf"', action: "reject", code: 550 },
  ],
});

const QUESTION: ExplainQuestion = {
  raw: Buffer.from("From: Alice <alice@example.org>\nSubject: x\n\nhello\n"),
  from: null,
  to: [],
  ip: "198.51.100.7",
  helo: "h.example.org",
  login: null,
};

async function ask(change: Partial<ExplainQuestion>, domains = policy) {
  const seen: Omit<CheckInput, "signal">[] = [];
  const explanation = await explain(
    { ...QUESTION, ...change },
    {
      snapshot: createSnapshot(domains, 1),
      now: START,
      checker: {
        run: async (input) => {
          seen.push(input);
          return [{ fact: "attachments.names", check: "attachments", value: ["invoice.pdf"] }];
        },
      },
    },
  );
  const fact = (name: string) => explanation.findings.find((finding) => finding.fact === name)?.value;
  return { explanation, fact, input: seen[0] };
}

async function refusal(change: Partial<ExplainQuestion>, domains = policy): Promise<string> {
  try {
    await ask(change, domains);
  } catch (error) {
    if (error instanceof Error && error.name === "ExplainError") return error.message;
    throw error;
  }
  throw new Error("it was expected to be refused, and was not");
}

test("gaps are filled: the sender from the header, the first domain's postmaster", async () => {
  const { explanation, fact } = await ask({});
  expect(fact("sender.address")).toBe("alice@example.org");
  expect(fact("client.ip")).toBe("198.51.100.7");
  expect(explanation.recipients.map(({ address, direction }) => [address, direction])).toEqual([
    ["postmaster@example.test", "inbound"],
  ]);
});

test("a file with bare line feeds is looked at as it would come over the wire; one with CR LF as it is", async () => {
  const { input } = await ask({});
  expect(small(input?.raw).toString()).toBe("From: Alice <alice@example.org>\r\nSubject: x\r\n\r\nhello\r\n");
  const raw = Buffer.from("From: a@example.org\r\n\r\nhello\r\n");
  expect((await ask({ raw })).input?.raw).toBe(raw);
});

test("who is trusted or logged in is inside", async () => {
  const to = ["bob@second.test", "carol@example.org"];
  const directions = async (change: Partial<ExplainQuestion>) =>
    (await ask({ to, ...change })).explanation.recipients.map(({ direction }) => direction);
  expect(await directions({})).toEqual(["inbound", "outbound"]);
  expect(await directions({ ip: "192.0.2.3" })).toEqual(["internal", "outbound"]);
  expect(await directions({ login: "bob@example.test" })).toEqual(["internal", "outbound"]);
  expect((await ask({ ip: "192.0.2.3" })).fact("client.trusted")).toBe(true);
});

test("the null reverse-path can be asked for", async () => {
  expect((await ask({ from: "<>" })).fact("sender.domain")).toBe("");
});

test("the policy's rules decide over what the checks found", async () => {
  const { explanation } = await ask({});
  const [recipient] = explanation.recipients;
  expect(recipient?.verdict).toMatchObject({ action: "reject", rule: "no-invoices", replyCode: 550 });
});

test("nonsense is refused in words", async () => {
  expect(await refusal({ ip: "somewhere" })).toContain('"somewhere" is not an IP address');
  expect(await refusal({ from: "not an address" })).toContain("not an address");
  expect(await refusal({ to: ["bob@example.test", "@"] })).toContain("@");
  expect(await refusal({}, trialPolicy({}))).toContain("--to");
});
