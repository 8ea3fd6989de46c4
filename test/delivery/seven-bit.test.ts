// 8-bit mail for servers without 8BITMIME: readers read the same, signatures are never broken, and what cannot be converted is returned.

import { describe, expect, test } from "bun:test";
import { isAscii } from "node:buffer";
import fc from "fast-check";
import PostalMime from "postal-mime";
import { toSevenBits } from "../../src/delivery/seven-bit.ts";
import { attemptFor, makeDeliverer, routes } from "./deliverer-fixture.ts";
import { startScriptedPeer, usualServer } from "./scripted-peer.ts";

const message = (...lines: readonly string[]) => Buffer.from(lines.join("\r\n"));
const HEAD = ["From: a@example.org", "Subject: x", "MIME-Version: 1.0"];
const UTF8 = "Content-Type: text/plain; charset=utf-8";

/** The reader takes the line end before a delimiter for a part's own where nothing is encoded. */
async function read(raw: Buffer) {
  const { text, html, attachments, subject } = await PostalMime.parse(raw);
  return {
    text,
    html,
    subject,
    attachments: attachments.map(({ content }) =>
      Buffer.from(content as ArrayBuffer)
        .toString("hex")
        .replace(/0a$/, ""),
    ),
  };
}

const CONVERTED: [string, Buffer][] = [
  [
    "one text",
    message(...HEAD, UTF8, "Content-Transfer-Encoding: 8bit", "", "Grüße = \t", "ü".repeat(300), ""),
  ],
  ["one without an encoding", message(...HEAD, UTF8, "", "Grüße", "")],
  [
    "one whose encoding is folded",
    message(...HEAD, "Content-Transfer-Encoding:", " 8bit", UTF8, "", "ä", ""),
  ],
  ["a text that ends without a line end", message(...HEAD, UTF8, "", "ä")],
  [
    "a multipart, of which one part is 7 bits",
    message(
      ...HEAD,
      'Content-Type: multipart/mixed; boundary="b=1"',
      "Content-Transfer-Encoding: 8bit",
      "",
      "preamble",
      "--b=1",
      UTF8,
      "Content-Transfer-Encoding: 8bit",
      "",
      "Grüße",
      "--b=1",
      "Content-Type: text/html",
      "",
      "<p>plain</p>",
      "--b=1",
      "Content-Type: application/octet-stream",
      "Content-Disposition: attachment",
      "Content-Transfer-Encoding: binary",
      "",
      "ÿ\u0001x",
      "--b=1--",
      "",
    ),
  ],
  [
    "multiparts within each other",
    message(
      ...HEAD,
      "Content-Type: multipart/mixed; boundary=o",
      "",
      "--o",
      "Content-Type: multipart/alternative;",
      " boundary=i",
      "",
      "--i",
      UTF8,
      "",
      "ä",
      "--i",
      "Content-Type: text/html; charset=utf-8",
      "",
      "<p>ö</p>",
      "--i--",
      "--o--",
      "",
    ),
  ],
];

describe("converted", () => {
  test.each(CONVERTED)("%s", async (_, raw) => {
    const converted = toSevenBits(raw);
    if (converted === null) throw new Error("it was not converted");
    expect(isAscii(converted)).toBe(true);
    expect(await read(converted)).toEqual(await read(raw));
    expect(
      Math.max(
        ...converted
          .toString()
          .split("\r\n")
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(76);
    expect(converted.toString()).not.toMatch(/^content-transfer-encoding: *(?:8bit|binary)/im);
  });

  test("a message within the message", () => {
    const raw = message(
      ...HEAD,
      "Content-Type: message/rfc822",
      "Content-Transfer-Encoding: 8bit",
      "",
      "Subject: in",
      "",
      "ä",
      "",
    );
    const converted = toSevenBits(raw)?.toString() ?? "";
    expect(converted).toContain(
      "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: in\r\n",
    );
    expect(converted).toEndWith("Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n");
  });

  test("a text without MIME", () => {
    const converted = toSevenBits(message("Subject: x", "", "ä", ""))?.toString() ?? "";
    expect(converted).toContain("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n");
  });

  test("any text reads the same", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: "grapheme", maxLength: 120 }), { maxLength: 8 }),
        async (lines) => {
          const raw = message(
            ...HEAD,
            UTF8,
            "",
            ...lines.map((line) => line.replace(/[\r\n]/g, " ")),
            "ü",
            "",
          );
          const converted = toSevenBits(raw);
          if (converted === null) throw new Error("it was not converted");
          expect(isAscii(converted)).toBe(true);
          expect((await read(converted)).text).toBe((await read(raw)).text ?? "");
        },
      ),
      { numRuns: 60 },
    );
  });
});

const mixed = (...part: readonly string[]) =>
  message(...HEAD, "Content-Type: multipart/mixed; boundary=b", "", "--b", ...part, "--b--", "");
const KEPT: [string, Buffer][] = [
  ["DKIM", message("DKIM-Signature: v=1; b=x", ...HEAD, UTF8, "", "ä", "")],
  ["ARC", message("ARC-Message-Signature: i=1", ...HEAD, UTF8, "", "ä", "")],
  [
    "S/MIME",
    message(...HEAD, "Content-Type: multipart/signed; boundary=b", "", "--b", UTF8, "", "ä", "--b--", ""),
  ],
  ["PGP in the text", message(...HEAD, UTF8, "", "-----BEGIN PGP SIGNED MESSAGE-----", "", "ä", "")],
  ["a signed part", mixed("Content-Type: multipart/signed; boundary=c", "", "--c", UTF8, "", "ä", "--c--")],
  ["a signed message within", mixed("Content-Type: message/rfc822", "", "DKIM-Signature: v=1", "", "ä")],
  ["8 bits in base64", message(...HEAD, UTF8, "Content-Transfer-Encoding: base64", "", "ä", "")],
  ["an 8-bit header", message("Subject: ä", "", "ä", "")],
  [
    "an 8-bit preamble",
    message(...HEAD, "Content-Type: multipart/mixed; boundary=b", "", "ä", "--b", "", "x", "--b--", ""),
  ],
  ["no boundary", message(...HEAD, "Content-Type: multipart/mixed", "", "ä", "")],
];
describe("not converted", () => {
  test.each(KEPT)("%s", (_, raw) => {
    expect(toSevenBits(raw)).toBeNull();
  });

  test("a thousand multiparts within each other end soon", () => {
    const lines = Array.from({ length: 1000 }, (_, n) => [
      `Content-Type: multipart/mixed; boundary=b${n}`,
      "",
      `--b${n}`,
    ]);
    expect(toSevenBits(message(...HEAD, ...lines.flat(), "", "ä", ""))).toBeNull();
  });
});

describe("over the wire", () => {
  const send = async (ehlo: readonly string[], raw: Buffer, eightBit = true) => {
    const peer = await startScriptedPeer(usualServer({ ehlo }));
    const deliverer = makeDeliverer();
    const [outcome] = await deliverer.attempt(
      attemptFor(routes({ port: peer.port }), { message: raw, eightBit }),
    );
    await deliverer.close(0);
    await peer.close();
    return { outcome, mail: peer.commands.find((line) => line.startsWith("MAIL")), got: peer.messages[0] };
  };
  const TEXT = message(...HEAD, UTF8, "Content-Transfer-Encoding: 8bit", "", "Grüße", "");
  const SIGNED = message("DKIM-Signature: v=1", ...HEAD, UTF8, "", "Grüße", "");

  test("a server with 8BITMIME gets it as it is", async () => {
    const { mail, got } = await send(["250-peer", "250 8BITMIME"], TEXT);
    expect(mail).toContain("BODY=8BITMIME");
    expect(got).toBe(TEXT.toString("latin1"));
  });

  test("one without gets 7 bits", async () => {
    const { outcome, mail, got } = await send(["250-peer", "250 SIZE 1000"], TEXT);
    expect(outcome?.result).toBe("delivered");
    expect(mail).not.toContain("BODY");
    expect(got).toContain("Gr=C3=BC=C3=9Fe");
    expect(mail).toContain(`SIZE=${got?.length}`);
  });

  test("what is signed is returned, not broken", async () => {
    const { outcome, got } = await send(["250 peer"], SIGNED);
    expect(outcome).toMatchObject({ result: "failed", enhanced: "5.6.3" });
    expect(got).toBeUndefined();
  });

  test("signed mail in 7 bits passes, and what a client called 7 bits", async () => {
    const plain = message("DKIM-Signature: v=1", ...HEAD, "", "plain", "");
    expect((await send(["250 peer"], plain)).outcome?.result).toBe("delivered");
    expect((await send(["250 peer"], SIGNED, false)).got).toBe(SIGNED.toString("latin1"));
  });
});
