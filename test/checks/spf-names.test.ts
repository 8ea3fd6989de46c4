// Names that SPF's macros make are asked over the wire, whatever octets stand in them: what was not asked would count as "no match".
import { afterAll, beforeAll, expect, test } from "bun:test";
import packet from "dns-packet";
import { checkSpf } from "../../src/checks/check-spf.ts";
import { mailauthResolver } from "../../src/dns/mailauth-resolver.ts";
import { createResolver, type StubResolver } from "../../src/dns/stub-resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type DnsServer, startDnsServer } from "../dns-server.ts";

let server: DnsServer;
let resolver: StubResolver;
beforeAll(async () => {
  server = await startDnsServer({});
  resolver = createResolver({ servers: [server.address], log: silentLog });
});
afterAll(async () => {
  resolver.close();
  await server.close();
});

const CLIENT = { ip: "192.0.2.1", helo: "mail.example.org", hostname: "gate.example.test" };
const spf = (sender: string) => checkSpf({ ...CLIENT, sender }, mailauthResolver(resolver));

const NAMES: readonly (readonly [term: string, name: string])[] = [
  ["%_x", " x"],
  ["%_", " "],
  ["%_%_", "  "],
  ["x%_", "x "],
  ["a%_b", "a b"],
  ["%_a%_b%_", " a b "],
  ["a.%_.b", "a. .b"],
  ["a.%_b", "a. b"],
  ["%-x", "%20x"],
  ["%%", "%"],
  ["a%%b", "a%b"],
  [`!"#$&'()*+,-x`, `!"#$&'()*+,-x`],
  ["/:;<=>?@", "/:;<=>?@"],
  ["[\\]^_`{|}~", "[\\]^_`{|}~"],
];

for (const [at, [term, name]] of NAMES.entries())
  for (const [mechanism, type] of [
    ["exists", "A"],
    ["include", "TXT"],
    ["redirect", "TXT"],
  ] as const)
    test(`${mechanism} of ${JSON.stringify(name)}`, async () => {
      const domain = `${mechanism}${at}.test`;
      const record =
        mechanism === "redirect" ? `redirect=${term}.${domain}` : `${mechanism}:${term}.${domain} -all`;
      server.set(domain, { TXT: [`v=spf1 ${record}`] });
      server.set(`${name.toLowerCase()}.${domain}`, { A: ["127.0.0.2"], TXT: ["v=spf1 +all"] });
      expect(await spf(`ann@${domain}`)).toMatchObject({ result: "pass" });
      expect(server.asked).toContain(`${name.toLowerCase()}.${domain} ${type} udp`);
    });

for (const local of ["a'b", "#x", "{a}", "a/b=c", "%", '" x"', '"a b"', '"a@b"', '"a\\"b"'])
  test(`the local part ${local}`, async () => {
    server.set("local.test", { TXT: ["v=spf1 exists:%{l}._l.local.test -all"] });
    server.set(`${local}._l.local.test`, { A: ["127.0.0.2"] });
    expect(await spf(`${local}@local.test`)).toMatchObject({ result: "pass" });
  });

test("a server that is away for such a name: come again", async () => {
  server.set("away.test", { TXT: ["v=spf1 exists:%_x.away.test -all"] });
  server.set(" x.away.test", { fail: "servfail" });
  expect(await spf("ann@away.test")).toMatchObject({ result: "temperror" });
});

test("a name that leads to one that cannot be asked: come again", async () => {
  server.set("leads.test", { TXT: ["v=spf1 a:h.leads.test -all"] });
  server.answerWith((query) => {
    const [question] = query.questions ?? [];
    if (question?.name.toLowerCase() !== "h.leads.test") return null;
    const alias = { name: question.name, type: "CNAME", ttl: 60, data: "a\u0001b.example.test" } as const;
    return [packet.encode({ type: "response", id: query.id ?? 0, questions: [question], answers: [alias] })];
  });
  expect(await spf("ann@leads.test")).toMatchObject({ result: "temperror" });
});
