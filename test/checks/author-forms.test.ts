// Every form of From over SMTP with the real checks: what DMARC makes of it, for a spoof of a domain with p=reject and for honest mail of one.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AUTHOR_FORMS, writeForm } from "../session/author-forms.ts";
import { type FrontDoor, openFrontDoor, signedWith, type TestKey, testKey } from "./front-door.ts";

const IP = "203.0.113.7";
const SPF = `v=spf1 ip4:${IP} -all`;
const REJECT = { TXT: ["v=DMARC1; p=reject"] };

let door: FrontDoor;
let key: TestKey;

beforeAll(async () => {
  key = testKey();
  door = await openFrontDoor({
    zone: {
      "victim.example": { TXT: ["v=spf1 -all"] },
      "_dmarc.victim.example": REJECT,
      "attacker.example": { TXT: [SPF] },
      "honest.example": { TXT: [SPF] },
      "_dmarc.honest.example": REJECT,
      "xn--mnchen-3ya.example": { TXT: [SPF] },
      "_dmarc.xn--mnchen-3ya.example": REJECT,
      "s._domainkey.xn--mnchen-3ya.example": { TXT: [key.record] },
    },
    rules: ["dmarc"],
  });
});

afterAll(async () => {
  await door[Symbol.asyncDispose]();
});

async function send(header: Buffer | string, sender: string): ReturnType<FrontDoor["send"]> {
  const raw = Buffer.concat([Buffer.from(header as string), Buffer.from("\r\nSubject: x\r\n\r\nbody\r\n")]);
  return door.send({ ip: IP, sender, raw });
}

/** Only people see the other address: what its domain asks for counts, and a proven author breaks no wish of its own. */
const SHOWN: ReadonlySet<string> = new Set([
  "another's address as the quoted name",
  "another's address in a quoted name",
  "an escaped at sign in quotes",
  "an encoded word that is an address",
  "a base64 word that is an address",
  "two words that become an address",
  "an encoded word in quotes",
  "a bare at sign in an encoded word",
  "brackets in an encoded word",
  "UTF-7 in an encoded word",
  "UTF-7 as it is",
  "a wide at sign",
  "a small at sign",
  "a soft hyphen in another's address",
  "another's address in a comment",
  "another's address in a comment in front",
  "an encoded address in a comment",
  "a comment inside the brackets",
  "a bracket in a comment",
  "a passed-on address, and nothing says by whom",
  "the same in brackets behind it",
  "the same in another language",
  "the same by another's list",
  "the same signed by another",
  "the same with an empty List-Id",
]);

const rows = AUTHOR_FORMS.map((one) => [one.name, one] as const);
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/;

describe("from a domain without a record, the other has p=reject", () => {
  test.each(rows)("%s", async (_, { form, reads }) => {
    const header = writeForm(form, { own: "a@attacker.example", other: "ceo@victim.example" });
    const { reply, facts } = await send(header, "a@attacker.example");
    if (CONTROLS.test(form)) expect(reply).toStartWith("554 5.6.0 ");
    else if (reads.includes("other")) expect(reply).toMatch(/^550 5\.7\.1 .*DMARC/);
    else {
      expect(reply).toStartWith("250 ");
      expect(facts["dmarc.policy"]).not.toBe("reject");
    }
  });
});

describe("from a domain with p=reject that is proven, the other has no record", () => {
  test.each(rows)("%s", async (_, { name, form, reads, sound }) => {
    const header = writeForm(form, { own: "ann@honest.example", other: "bob@plain.example" });
    const { reply, facts } = await send(header, "ann@honest.example");
    if (CONTROLS.test(form)) expect(reply).toStartWith("554 5.6.0 ");
    else if (sound) {
      expect(reply).toStartWith("250 ");
      expect(facts["dmarc.result"]).toBe("pass");
    } else if (SHOWN.has(name)) {
      expect(reply).toStartWith("250 ");
      expect(facts["dmarc.result"]).not.toBe("pass");
    } else if (reads.includes("own")) expect(reply).toMatch(/^550 5\.7\.1 .*DMARC/);
    else expect(facts["dmarc.result"]).not.toBe("pass");
  });
});

describe("names of domains in Unicode", () => {
  test.each([
    ["a soft hyphen", "From: ceo@vic\u00adtim.example"],
    ["wide letters", "From: ceo@ｖｉｃｔｉｍ.example"],
    ["a wide dot", "From: ceo@victim。example"],
    ["capitals", "From: ceo@VICTIM.Example"],
    ["a dot at its end", "From: <ceo@victim.example.>"],
    ["a zero-width joiner in brackets", "From: CEO <ceo@vic\u200btim.example>"],
  ])("%s does not hide whose it is", async (_, header) => {
    expect((await send(header, "a@attacker.example")).reply).toMatch(/^550 5\.7\.1 .*DMARC/);
  });

  test.each([
    ["U-labels", "From: ü@münchen.example"],
    ["A-labels", "From: u@xn--mnchen-3ya.example"],
    ["capitals", "From: Ü <ü@MÜNCHEN.Example>"],
    ["letters and marks apart", "From: u@mu\u0308nchen.example"],
    ["a name and an address", "From: München <info@münchen.example>"],
  ])("honest mail of one in %s is proven by SPF", async (_, header) => {
    const { reply, facts } = await send(header, "info@xn--mnchen-3ya.example");
    expect(reply).toStartWith("250 ");
    expect(facts["dmarc.result"]).toBe("pass");
    expect(facts["spf.aligned"]).toBe(true);
    expect(facts["dmarc.domain"]).toBe("xn--mnchen-3ya.example");
  });

  test("and by a signature", async () => {
    const raw = Buffer.from("From: ü@münchen.example\r\nSubject: x\r\n\r\nbody\r\n");
    const signed = await signedWith(key, raw, { domain: "xn--mnchen-3ya.example", selector: "s" });
    const { reply, facts } = await door.send({ ip: "203.0.113.99", sender: "x@plain.example", raw: signed });
    expect(reply).toStartWith("250 ");
    expect(facts["dkim.aligned"]).toBe(true);
    expect(facts["dmarc.result"]).toBe("pass");
  });
});

test("a shown address does not prove, and an author who is not proven meets the own policy", async () => {
  const spoof = 'From: "bob@plain.example" <ann@honest.example>';
  expect((await send(spoof, "a@attacker.example")).reply).toMatch(/^550 5\.7\.1 .*DMARC/);
});

test("odd local parts of an author and a sender are proven like others", async () => {
  for (const local of ["taro..y", "taro.y.", "x".repeat(100), "SRS0=HHH=TT=orig.example=user"]) {
    const { reply, facts } = await send(`From: ${local}@honest.example`, `${local}@honest.example`);
    expect([local, reply.slice(0, 3), facts["dmarc.result"]]).toEqual([local, "250", "pass"]);
  }
});
