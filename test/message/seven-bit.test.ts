// 8-bit mail in 7 bits: readers read the same, and what cannot be converted is known.
import { describe, expect, test } from "bun:test";
import { isAscii } from "node:buffer";
import fc from "fast-check";
import PostalMime from "postal-mime";
import { processorMs } from "./processor-time.ts";
import { CONVERTED, CONVERTED_TOO, convert, HEAD, KEPT, message, mixed, UTF8 } from "./seven-bit-samples.ts";

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

describe("converted", () => {
  test.each(CONVERTED)("%s", async (_, raw) => {
    const converted = convert(raw);
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
    const converted = convert(raw)?.toString() ?? "";
    expect(converted).toContain(
      "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: in\r\n",
    );
    expect(converted).toEndWith("Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n");
  });

  test("a text without MIME", () => {
    const converted = convert(message("Subject: x", "", "ä", ""))?.toString() ?? "";
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
          const converted = convert(raw);
          if (converted === null) throw new Error("it was not converted");
          expect(isAscii(converted)).toBe(true);
          expect((await read(converted)).text).toBe((await read(raw)).text ?? "");
        },
      ),
      { numRuns: 60 },
    );
  });
});

test.each(CONVERTED_TOO)("converted too: %s", (_, raw, expected) => {
  const converted = convert(raw);
  expect(converted?.toString("latin1")).toContain(expected);
  expect(isAscii(converted ?? raw)).toBe(true);
});

test("8 bits in headers stay; the bodies are converted", () => {
  const part = mixed("Content-Disposition: attachment; filename=ä.bin", "Content-Type: a/b", "", "ä");
  const raw = Buffer.concat([Buffer.from("Subject: ö\r\n"), part]);
  const converted = convert(raw)?.toString() ?? "";
  expect(converted).toContain("Subject: ö\r\n");
  expect(converted).toContain("filename=ä.bin");
  expect(converted).toContain("Encoding: base64\r\n\r\nw6Q=\r\n--b--");
  const headerOnly = message("Subject: ä", "", "plain", "");
  expect(convert(headerOnly)).toBe(headerOnly);
});

test("in pieces of any size it becomes the same", () => {
  const all = [...CONVERTED.map(([, raw]) => raw), ...CONVERTED_TOO.map(([, raw]) => raw)];
  for (const raw of all) {
    const whole = convert(raw)?.toString("latin1");
    for (const bytes of [1, 2, 3, 5, 7, 64]) expect(convert(raw, bytes)?.toString("latin1")).toBe(whole);
  }
});

test("lines of any octets, in pieces of any size, are decoded to what they were", () => {
  const octets = fc.uint8Array({ maxLength: 400 });
  fc.assert(
    fc.property(
      octets,
      fc.constantFrom("text/plain", "a/b"),
      fc.integer({ min: 1, max: 90 }),
      (some, type, bytes) => {
        const body = Buffer.concat([Buffer.from("ä"), some, Buffer.from("\r\n")]);
        const head = `Content-Type: multipart/mixed; boundary=bound\r\n\r\n--bound\r\nContent-Type: ${type}\r\n\r\n`;
        const raw = Buffer.concat([Buffer.from(head), body, Buffer.from("--bound--\r\n")]);
        const made = convert(raw, bytes);
        if (made === null) throw new Error("it was not converted");
        expect(isAscii(made)).toBe(true);
        const coded = made.toString("latin1").split("\r\n\r\n").slice(2).join("\r\n\r\n");
        const text = coded.slice(0, coded.lastIndexOf("\r\n--bound--"));
        const decoded =
          type === "a/b"
            ? Buffer.from(text, "base64")
            : Buffer.from(
                text
                  .replaceAll("=\r\n", "")
                  .replace(/=([0-9A-F]{2})/g, (_, hex: string) =>
                    String.fromCharCode(Number.parseInt(hex, 16)),
                  ),
                "latin1",
              );
        expect(decoded.toString("hex")).toBe(body.subarray(0, -2).toString("hex"));
      },
    ),
    { numRuns: 300 },
  );
});

describe("not converted", () => {
  test.each(KEPT)("%s", (_, raw) => {
    expect(convert(raw)).toBeNull();
  });

  test("signed parts without 8 bits stay as they are beside one that is converted", () => {
    const signed = [
      "Content-Type: multipart/signed; boundary=c",
      "Content-Transfer-Encoding: 8bit",
      "",
      "--c",
      "",
      "x",
      "--c--",
    ];
    const raw = mixed(...signed, "--b", UTF8, "", "ä");
    expect(convert(raw)?.toString()).toContain(`--b\r\n${signed.join("\r\n")}\r\n--b\r\n`);
  });

  test("lines that begin like a delimiter cost no more than others", () => {
    const blanks = `--b${" ".repeat(390)}x\r\nä\r\n`;
    const many = ["--x\r\nä\r\n".repeat(200_000), blanks.repeat(10_000), "--b\r\n\r\nx\r\n".repeat(200_000)];
    for (const lines of many) {
      const raw = mixed(UTF8, "", "ä", lines);
      const startedAt = processorMs();
      expect(convert(raw, 65_536)?.length).toBeGreaterThan(lines.length);
      expect(processorMs() - startedAt).toBeLessThan(2000);
    }
  });

  test("a thousand multiparts within each other end soon", () => {
    const lines = Array.from({ length: 1000 }, (_, n) => [
      `Content-Type: multipart/mixed; boundary=b${n}`,
      "",
      `--b${n}`,
    ]);
    expect(convert(message(...HEAD, ...lines.flat(), "", "ä", ""))).toBeNull();
  });
});
