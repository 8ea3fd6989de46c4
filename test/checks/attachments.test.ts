// Attachments under every disguise: names in all encodings, content that is not what the name says, archives that lie.
import { expect, test } from "bun:test";
import { scanMessage } from "../../src/checks/scan-message.ts";
import { type Facts, factsOf } from "../../src/rules/fact.ts";
import { message } from "../message/message-samples.ts";
import { processorMs } from "../message/processor-time.ts";
import { attached, multipart, type Part, zip } from "./mime-samples.ts";

async function factsFrom(raw: Uint8Array): Promise<Facts> {
  const byCheck = await scanMessage(raw, ["attachments", "eicar", "gtube", "structure"]);
  return factsOf([...byCheck.values()].flat());
}

async function factsOfPart(part: Part): Promise<Facts> {
  return factsFrom(multipart([part]));
}

const PROGRAM = Buffer.concat([Buffer.from("MZ\u0090\u0000", "latin1"), Buffer.alloc(300)]);
const EICAR = Buffer.from(
  ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].join(""),
);

const names: readonly (readonly [words: string, header: readonly string[], name: string])[] = [
  ["quoted", ['Content-Disposition: attachment; filename="a b.exe"'], "a b.exe"],
  ["bare", ["Content-Disposition: attachment; filename=ab.exe"], "ab.exe"],
  ["folded", ["Content-Disposition: attachment;\r\n\tfilename=ab.exe"], "ab.exe"],
  ["in the type only", ['Content-Type: application/pdf; name="ab.exe"'], "ab.exe"],
  ["RFC 2231", ["Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.exe"], "€.exe"],
  [
    "RFC 2231 in Latin-1",
    ["Content-Disposition: attachment; filename*=iso-8859-1'de'%fcber.exe"],
    "über.exe",
  ],
  [
    "RFC 2231 in pieces",
    ["Content-Disposition: attachment; filename*1=exe; filename*0*=utf-8''%e2%82%ac."],
    "€.exe",
  ],
  ["RFC 2047", ['Content-Disposition: attachment; filename="=?utf-8?B?4oKsLmV4ZQ==?="'], "€.exe"],
  ["quoted pairs", ['Content-Disposition: attachment; filename="a\\b.e\\xe"'], "ab.exe"],
  ["a comment", ["Content-Disposition: attachment (x; y); filename=ab.exe"], "ab.exe"],
  ["an unclosed quote", ['Content-Disposition: attachment; filename="ab.exe'], "ab.exe"],
  ["a folder in front", ['Content-Disposition: attachment; filename="../../ab.exe"'], "ab.exe"],
  ["dots and spaces behind", ['Content-Disposition: attachment; filename="ab.exe. . "'], "ab.exe"],
  ["a stream suffix", ['Content-Disposition: attachment; filename="ab.exe::$DATA"'], "ab.exe"],
  ["turned around", ["Content-Disposition: attachment; filename*=utf-8''ab%e2%80%aefdp.exe"], "abfdp.exe"],
  ["a space before the colon", ["Content-Disposition : attachment; filename=ab.exe"], "ab.exe"],
  ["capitals", ["CONTENT-DISPOSITION: ATTACHMENT; FILENAME=ab.EXE"], "ab.EXE"],
];
test.each(names)("a file name %s", async (_, header, name) => {
  const facts = await factsOfPart({ header, body: "text" });
  expect(facts["attachments.names"]).toEqual([name]);
  expect(facts["attachments.extensions"]).toContain("exe");
  expect(facts["attachments.dangerous"]).not.toEqual([]);
});

test("two names: both are judged, and it is told", async () => {
  const header = [
    "Content-Type: application/pdf; name=a.pdf",
    "Content-Disposition: attachment; filename=a.js",
  ];
  const facts = await factsOfPart({ header, body: "%PDF-1.4" });
  expect(facts["attachments.extensions"]).toEqual(["js", "pdf"]);
  expect(facts["attachments.dangerous"]).not.toEqual([]);
  expect(facts["structure.ambiguous"]).toEqual(["two kinds of file name for one part"]);
});

const contents: readonly (readonly [
  name: string,
  bytes: Uint8Array,
  dangerous: boolean,
  mismatched: boolean,
])[] = [
  ["a.pdf", PROGRAM, true, true],
  ["a.txt", PROGRAM, true, true],
  ["a.txt", Buffer.from("#!/bin/sh\nrm -rf /\n"), true, true],
  ["a", Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]), Buffer.alloc(300)]), true, false],
  ["a.pdf", Buffer.from("hello"), false, true],
  ["a.pdf", Buffer.from("%PDF-1.4\n%%EOF"), false, false],
  [
    "a.jpg",
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]),
    false,
    true,
  ],
  ["a.txt", Buffer.from("hello"), false, false],
  ["a.zip", Buffer.from("no archive"), true, true],
  ["a.docx", zip([{ name: "[Content_Types].xml", data: Buffer.from("<Types/>") }]), false, false],
];
test.each(contents)("%s by its content", async (name, bytes, dangerous, mismatched) => {
  const facts = await factsOfPart(attached(name, bytes));
  expect([facts["attachments.dangerous"], facts["attachments.mismatched"]]).toEqual([
    dangerous ? [name] : [],
    mismatched ? [name] : [],
  ]);
});

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]);
const COM = Buffer.from([0xb8, 0x00, 0x4c, 0xcd, 0x21]);

test.each([
  ["www.example.com", "plain text"],
  ["Order from shop.example.com", "plain text"],
  ["bob@example.com", "plain text"],
  ["Your visit to www.example.pl", "plain text"],
  ["ann@example.py", "plain text"],
  ["photo of www.example.com", PNG],
  ["statement from bank.example.com", Buffer.from("%PDF-1.4\n%%EOF")],
  ["notes.com", "nothing but text"],
  ["empty.com", ""],
  ["docs.example.app", "plain text"],
  ["meeting.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"],
  ["card.vcf", "BEGIN:VCARD\r\nEND:VCARD\r\n"],
  ["smime.p7s", Buffer.from("0\x82xxxx", "latin1")],
  ["signature.asc", "-----BEGIN PGP SIGNATURE-----"],
  ["mail from bob@example.com.eml", "From: a@b.test\r\n\r\nx"],
  ["MZ 2026.txt", "MZ 2026: minutes of the meeting"],
])("%s is no program", async (name, bytes) => {
  const facts = await factsOfPart(attached(name, Buffer.from(bytes as string)));
  expect(facts["attachments.dangerous"]).toEqual([]);
});

test.each([
  ["www.example.com", PROGRAM],
  ["www.example.com", COM],
  ["bob@example.com", Buffer.from("#!/bin/sh\nrm -rf /\n")],
  ["setup.com", PROGRAM],
  ["setup.com", COM],
  ["invoice.pdf.com", "plain text"],
  ["update.pl", "print 1;"],
  ["update.py", "print(1)"],
  ["www.example.bat", "del *.*"],
  ["www.example.js", "x()"],
  ["www.example.pl", Buffer.from("#!/usr/bin/perl\n")],
  ["notes.one", PNG],
  ["a.exe", "plain text"],
  ["www.example.one", Buffer.from([0xe4, 0x52, 0x5c, 0x7b, 0x8c, 0xd8, 0, 0, 0, 1])],
])("%s still is one", async (name, bytes) => {
  const facts = await factsOfPart(attached(name, Buffer.from(bytes as string)));
  expect(facts["attachments.dangerous"]).toEqual([name]);
});

test("forwarded mail named after its subject, and archives of documents, are no programs", async () => {
  const forwarded = multipart([
    {
      header: [
        "Content-Type: message/rfc822",
        'Content-Disposition: attachment; filename="Your visit to www.example.com"',
      ],
      body: "From: a@b.test\r\nSubject: Your visit to www.example.com\r\n\r\nhello",
    },
  ]);
  expect((await factsFrom(forwarded))["attachments.dangerous"]).toEqual([]);
  const data = Buffer.from("numbers");
  const archive = zip([
    { name: "report.txt", data },
    { name: "www.example.com/index.html", data },
    { name: "www.example.com", data },
  ]);
  expect((await factsOfPart(attached("docs.zip", archive)))["attachments.dangerous"]).toEqual([]);
});

test("a program without a name, called text and shown inline, is found", async () => {
  const facts = await factsFrom(
    multipart([
      {
        header: ["Content-Type: text/plain", "Content-Transfer-Encoding: base64"],
        body: PROGRAM.toString("base64"),
      },
    ]),
  );
  expect(facts["attachments.dangerous"]).toEqual(["unnamed text/plain"]);
});

test("archives that lie: two names, an unlisted file, names that climb, a locked file", async () => {
  const inside = async (files: Parameters<typeof zip>[0]) =>
    (await factsOfPart(attached("a.zip", zip(files))))["attachments.dangerous"];
  const data = Buffer.from("x");
  expect(await inside([{ name: "a.txt", data }])).toEqual([]);
  expect(await inside([{ name: "a.txt", localName: "a.exe", data }])).toEqual(["a.zip › a.exe"]);
  expect(
    await inside([
      { name: "b.vbs", data, hidden: true },
      { name: "a.txt", data },
    ]),
  ).toEqual(["a.zip › b.vbs"]);
  expect(await inside([{ name: "../../a.lnk", data }])).toEqual(["a.zip › ../../a.lnk"]);
  const locked = await factsOfPart(attached("a.zip", zip([{ name: "a.exe", data, flags: 1 }])));
  expect(locked).toMatchObject({
    "attachments.encrypted": ["a.zip › a.exe"],
    "attachments.dangerous": ["a.zip › a.exe"],
  });
});

test("an archive in an archive is opened, and one too deep counts as dangerous", async () => {
  const nest = (depth: number, inner: Buffer): Buffer =>
    depth === 0 ? inner : zip([{ name: "in.zip", data: nest(depth - 1, inner) }]);
  const program = zip([{ name: "a.txt", data: PROGRAM }]);
  const found = await factsOfPart(attached("a.zip", nest(2, program)));
  expect(found["attachments.dangerous"]).toEqual(["a.zip › in.zip › in.zip › a.txt"]);
  const tooDeep = await factsOfPart(
    attached("a.zip", nest(3, zip([{ name: "a.txt", data: Buffer.from("x") }]))),
  );
  expect(tooDeep["attachments.dangerous"]).toEqual(["a.zip › in.zip › in.zip › in.zip"]);
});

test("a bomb is told by its name, within bounds of time", async () => {
  const bomb = zip([
    { name: "big.txt", data: Buffer.alloc(200_000_000) },
    { name: "run.txt", data: PROGRAM },
  ]);
  expect(bomb.length).toBeLessThan(400_000);
  const started = processorMs();
  const facts = await factsOfPart(attached("a.zip", bomb));
  expect(processorMs() - started).toBeLessThan(3000);
  expect(facts["attachments.dangerous"]).toEqual(["a.zip › big.txt", "a.zip › run.txt"]);
  const many = zip(
    Array.from({ length: 3000 }, (_, index) => ({ name: `${index}.txt`, data: Buffer.from("x") })),
  );
  expect((await factsOfPart(attached("many.zip", many)))["attachments.dangerous"]).toEqual(["many.zip"]);
});

test("an archive that holds itself ends", async () => {
  // A quine is a zip whose one file unpacks to the same zip again; a stored copy of it under its own name is as endless to a naive reader.
  let quine = zip([{ name: "r.zip", data: Buffer.from("x") }]);
  for (let i = 0; i < 30; i++) quine = zip([{ name: "r.zip", data: quine }]);
  const facts = await factsOfPart(attached("r.zip", quine));
  expect(facts["attachments.dangerous"]).toEqual(["r.zip › r.zip › r.zip › r.zip"]);
});

test("parts inside documents are no attachments of their own", async () => {
  const data = Buffer.from("<x/>");
  const docx = zip(
    ["[Content_Types].xml", "_rels/.rels", "word/document.xml"].map((name) => ({ name, data })),
  );
  const facts = await factsOfPart(attached("a.docx", docx));
  expect(facts).toMatchObject({
    "attachments.extensions": ["docx"],
    "attachments.count": 1,
    "attachments.dangerous": [],
  });
});

const line = EICAR.toString();
const uuencoded = `begin 644 a.com\r\n${uuencode(EICAR)}\`\r\nend\r\n`;
const eicars: readonly (readonly [where: string, raw: Buffer])[] = [
  ["raw in the body", message(["From: a@example.org"], `${line}\r\n`)],
  [
    "quoted-printable",
    multipart([
      { header: ["Content-Transfer-Encoding: quoted-printable"], body: line.replace("$", "=24=\r\n") },
    ]),
  ],
  [
    "base64 called something else",
    multipart([{ header: ['Content-Transfer-Encoding: "base64"'], body: EICAR.toString("base64") }]),
  ],
  [
    "base64 with junk",
    multipart([
      {
        header: ["Content-Transfer-Encoding: base64"],
        body: `!${EICAR.toString("base64").replace(/(.{10})/g, "$1*-")}`,
      },
    ]),
  ],
  [
    "base64 after its end",
    multipart([
      { header: ["Content-Transfer-Encoding: base64"], body: `eA==\r\n${EICAR.toString("base64")}` },
    ]),
  ],
  [
    "two encodings",
    multipart([
      {
        header: ["Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64"],
        body: EICAR.toString("base64"),
      },
    ]),
  ],
  ["uuencoded", message(["From: a@example.org"], `Hello\r\n\r\n${uuencoded}`)],
  [
    "in a zip in a zip",
    multipart([attached("a.zip", zip([{ name: "b.zip", data: zip([{ name: "c.txt", data: EICAR }]) }]))]),
  ],
  [
    "in an attached message",
    multipart([{ header: ["Content-Type: message/rfc822"], body: multipart([attached("a.txt", EICAR)]) }]),
  ],
  [
    "in an attached message in base64",
    multipart([
      {
        header: ["Content-Type: message/rfc822", "Content-Transfer-Encoding: base64"],
        body: multipart([attached("a.txt", EICAR)]).toString("base64"),
      },
    ]),
  ],
];
test.each(eicars)("EICAR %s", async (_, raw) => {
  expect((await factsFrom(raw))["eicar.found"]).toBe(true);
});

function uuencode(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 45) {
    const chunk = bytes.subarray(at, at + 45);
    text += String.fromCharCode(32 + chunk.length);
    for (let i = 0; i < chunk.length; i += 3) {
      const bits = ((chunk[i] ?? 0) << 16) | ((chunk[i + 1] ?? 0) << 8) | (chunk[i + 2] ?? 0);
      for (const shift of [18, 12, 6, 0]) text += String.fromCharCode(32 + ((bits >> shift) & 63) || 96);
    }
    text += "\r\n";
  }
  return text;
}

test("GTUBE in an encoded subject", async () => {
  const gtube = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"].join("");
  const subject = `Subject: =?utf-8?B?${Buffer.from(gtube).toString("base64")}?=`;
  expect((await factsFrom(message(["From: a@example.org", subject])))["gtube.found"]).toBe(true);
});
