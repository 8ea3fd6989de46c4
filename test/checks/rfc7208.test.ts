// RFC 7208's published suite through SMTP: each scenario's zone from a DNS server of the test, client and HELO by XCLIENT, the result read
// from the log. Where the dialogue itself refuses what a scenario sends, the evaluation is asked directly.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import packet, { type Answer, type DecodedPacket } from "dns-packet";
import { z } from "zod";
import { checkSpf } from "../../src/checks/check-spf.ts";
import { mailauthResolver } from "../../src/dns/mailauth-resolver.ts";
import { createResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type FrontDoor, openFrontDoor } from "./front-door.ts";

const text = z.union([z.string(), z.array(z.string())]);
const record = z.union([
  z.literal("TIMEOUT"),
  z.record(z.string(), z.union([text, z.tuple([z.number(), z.string()])])),
]);
const scenarioSchema = z.object({
  description: z.string(),
  tests: z.record(
    z.string(),
    z.object({ helo: z.string(), host: z.string(), mailfrom: z.string(), result: text }),
  ),
  zonedata: z.record(z.string(), z.array(record)),
});
type Zonedata = z.infer<typeof scenarioSchema>["zonedata"];

const file = readFileSync(join(import.meta.dirname, "rfc7208", "rfc7208-tests.yml"), "utf8");
const scenarios = z
  .array(z.unknown())
  .parse(Bun.YAML.parse(file))
  .flatMap((one) => (one === null ? [] : [scenarioSchema.parse(one)]));

/** The records of a name by the suite's rules: SPF stands for TXT where no TXT is written, and TIMEOUT for all types not yet written. */
function recordsOf(zone: Zonedata, name: string, type: string): Answer[] | "silent" | null {
  const key = Object.keys(zone).find((one) => one.toLowerCase() === name.toLowerCase());
  if (key === undefined) return null;
  const entries = zone[key] ?? [];
  const written = entries.some((entry) => typeof entry === "object" && "TXT" in entry);
  const found: Answer[] = [];
  for (const entry of entries) {
    if (entry === "TIMEOUT") return found.length > 0 ? found : "silent";
    for (const [kind, data] of Object.entries(entry)) {
      const as = kind === "SPF" && !written ? "TXT" : kind;
      if (as === type && data !== "NONE") found.push(answerOf(name, as, data));
    }
  }
  return found;
}

function answerOf(name: string, type: string, data: string | string[] | [number, string]): Answer {
  const ttl = 60;
  if (type === "MX" && Array.isArray(data)) {
    return { name, type, ttl, data: { preference: Number(data[0]), exchange: String(data[1]) } };
  }
  const strings = (Array.isArray(data) ? data : [data]).map(String);
  if (type === "TXT") {
    const parts = strings.flatMap((one) => one.match(/[\s\S]{1,255}/g) ?? [""]);
    return { name, type, ttl, data: parts.map((part) => Buffer.from(part, "latin1")) };
  }
  if (type === "A" || type === "AAAA" || type === "PTR" || type === "CNAME") {
    return { name, type, ttl, data: strings[0] ?? "" };
  }
  throw new Error(`the suite has a record of type ${type}`);
}

function serve(zone: Zonedata, query: DecodedPacket): readonly Buffer[] {
  const [question] = query.questions ?? [];
  if (question === undefined || question.name === ".") return [];
  const answers: Answer[] = [];
  let name = question.name;
  let rcode = 0;
  for (let hop = 0; hop < 10; hop++) {
    const alias = recordsOf(zone, name, "CNAME");
    const here = alias === "silent" ? recordsOf(zone, name, question.type) : alias;
    if (here === "silent") return [];
    const [first] = alias === "silent" || alias === null ? [] : alias;
    if (first?.type === "CNAME") {
      answers.push(first);
      name = first.data;
      continue;
    }
    const found = recordsOf(zone, name, question.type);
    if (found === "silent") return [];
    if (found === null) rcode = 3;
    else answers.push(...found);
    break;
  }
  return [
    packet.encode({
      type: "response",
      id: query.id ?? 0,
      flags: packet.RECURSION_AVAILABLE | rcode,
      questions: [question],
      answers,
    }),
  ];
}

const LETTER = Buffer.from(
  "From: someone@author.example.org\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\nx\r\n",
);

describe("the suite", () => {
  let door: FrontDoor;
  const refused: string[] = [];
  beforeAll(async () => {
    door = await openFrontDoor({ rules: ["subject-marks"], dnsTimeoutMs: 600 });
  });
  afterAll(() => door[Symbol.asyncDispose]());

  test.each(scenarios.map((scenario) => [scenario.description, scenario] as const))(
    "%s",
    async (_, { tests, zonedata }) => {
      await door.renewChecks();
      door.dns.answerWith((query) => serve(zonedata, query));
      const resolver = createResolver({
        servers: [door.dns.address],
        log: silentLog,
        timeoutMs: 600,
        keepAnswers: false,
      });
      const resolve = mailauthResolver(resolver);
      const different: string[] = [];
      for (const [name, { helo, host, mailfrom, result }] of Object.entries(tests)) {
        const wanted = Array.isArray(result) ? result : [result];
        const client = { ip: host, helo, sender: mailfrom, hostname: "gate.example.test" };
        const direct = (await checkSpf(client, resolve)).result;
        if (!wanted.includes(direct))
          different.push(`${name}: ${direct}, not ${wanted.join(" or ")} (asked directly)`);
        const { early, reply, facts } = await door.send({ ip: host, helo, sender: mailfrom, raw: LETTER });
        if (early) refused.push(`${name} (${helo} ${mailfrom}): ${reply}`);
        else if (!wanted.includes(String(facts["spf.result"]))) {
          different.push(`${name}: ${String(facts["spf.result"])}, not ${wanted.join(" or ")}; ${reply}`);
        }
      }
      resolver.close();
      expect(different).toEqual([]);
    },
    60_000,
  );

  test("203 scenarios, and the dialogue refuses none but what is no address or no name", () => {
    expect(scenarios.reduce((sum, { tests }) => sum + Object.keys(tests).length, 0)).toBe(203);
    const noAddress = ["toolonglabel", "emptylabel", "nolocalpart", "dorky-sentinel", "invalid-hello-macro"];
    expect(refused.filter((one) => !noAddress.some((name) => one.startsWith(`${name} `)))).toEqual([]);
  });
});
