// 8-bit mail for servers without 8BITMIME, small and from a file: our own signature is made over what is sent, and what cannot be
// converted is returned.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attempt } from "../../src/delivery/attempt.ts";
import { toSevenBits } from "../../src/delivery/seven-bit.ts";
import { isLarge, type LargeBody, type MessageBody } from "../../src/message/body.ts";
import { bodyStartIn } from "../../src/message/header-block.ts";
import { BodyFileWriter, wholeBody } from "../../src/store/body-file.ts";
import { convert, HEAD, KEPT, message, UTF8 } from "../message/seven-bit-samples.ts";
import { attemptFor, makeDeliverer, routes } from "./deliverer-fixture.ts";
import { startScriptedPeer, usualServer } from "./scripted-peer.ts";

describe("over the wire", () => {
  const send = async (
    ehlo: readonly string[],
    raw: Buffer,
    eightBit = true,
    signed?: NonNullable<Attempt["signed"]>,
  ) => {
    const peer = await startScriptedPeer(usualServer({ ehlo }));
    const deliverer = makeDeliverer();
    const [outcome] = await deliverer.attempt(
      attemptFor(routes({ port: peer.port }), {
        message: raw,
        eightBit,
        ...(signed === undefined ? {} : { signed }),
      }),
    );
    await deliverer.close(0);
    await peer.close();
    return { outcome, mail: peer.commands.find((line) => line.startsWith("MAIL")), got: peer.messages[0] };
  };
  const TEXT = message(...HEAD, UTF8, "Content-Transfer-Encoding: 8bit", "", "Grüße", "");
  const SIGNED = message("DKIM-Signature: v=1", ...HEAD, UTF8, "", "Grüße", "");

  test("a signature that cannot be made anew is our own fault: the attempt says so, and nothing about the server", async () => {
    const sign = () => Promise.reject(new Error("no key today"));
    const attempt = send(["250 peer"], TEXT, true, { unsigned: TEXT, sign });
    expect(await attempt.catch((error: unknown) => String(error))).toBe("Error: no key today");
  });

  test("a server with 8BITMIME gets it as it is, declared whatever the client said", async () => {
    for (const declared of [true, false]) {
      const { mail, got } = await send(["250-peer", "250 8BITMIME"], TEXT, declared);
      expect(mail).toContain("BODY=8BITMIME");
      expect(got).toBe(TEXT.toString("latin1"));
    }
    const ascii = message(...HEAD, "", "plain", "");
    expect((await send(["250-peer", "250 8BITMIME"], ascii, false)).mail).not.toContain("BODY");
  });

  test("one that offers SMTPUTF8 takes 8 bits, even if it does not say so", async () => {
    const { got } = await send(["250-peer", "250 SMTPUTF8"], TEXT);
    expect(got).toBe(TEXT.toString("latin1"));
  });

  test("one without gets 7 bits, whatever the client declared", async () => {
    for (const declared of [true, false]) {
      const { outcome, mail, got } = await send(["250-peer", "250 SIZE 1000"], TEXT, declared);
      expect(outcome?.result).toBe("delivered");
      expect(mail).not.toContain("BODY");
      expect(got).toContain("Gr=C3=BC=C3=9Fe");
      expect(mail).toContain(`SIZE=${got?.length}`);
    }
  });

  test("what is signed by a stranger is converted as well", async () => {
    const { outcome, got } = await send(["250 peer"], SIGNED);
    expect(outcome?.result).toBe("delivered");
    expect(got).toContain("Gr=C3=BC=C3=9Fe");
  });

  test("what cannot be converted is returned, whatever the client declared", async () => {
    for (const [, raw] of KEPT)
      for (const declared of [true, false]) {
        const { outcome, got } = await send(["250 peer"], raw, declared);
        expect(outcome).toMatchObject({ result: "failed", enhanced: "5.6.3" });
        expect(got).toBeUndefined();
      }
  });

  test("our own signature is made over what is sent", async () => {
    const sign = async (body: MessageBody) =>
      Buffer.concat([
        Buffer.from("X-Signed: "),
        Buffer.from(String(body.length)),
        Buffer.from("\r\n"),
        await wholeBody(body),
      ]);
    const signed = { unsigned: TEXT, sign };
    const converted = convert(TEXT);
    for (const [ehlo, expected] of [
      ["250 8BITMIME", TEXT],
      ["250 SIZE", converted],
    ] as const) {
      const { got } = await send(["250-peer", ehlo], Buffer.from(await sign(TEXT)), true, signed);
      expect(got).toBe(Buffer.from(await sign(expected ?? TEXT)).toString("latin1"));
    }
  });
});

describe("large ones, from their file", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "gatepost-seven-bit-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function large(raw: Buffer, inHead = 0): Promise<LargeBody> {
    const start = (bodyStartIn(raw) ?? 0) + inHead;
    const file = new BodyFileWriter(join(folder, crypto.randomUUID()));
    file.write(raw.subarray(start));
    return { head: Buffer.from(raw.subarray(0, start)), rest: await file.finish(), length: raw.length };
  }
  const lines = "Grüße = und mehr \r\n".repeat(30_000);
  const TEXT = message(...HEAD, UTF8, "Content-Transfer-Encoding: 8bit", "", lines);
  const MIXED = message(
    ...HEAD,
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    UTF8,
    "",
    lines,
    "--b",
    "Content-Type: application/octet-stream",
    "Content-Transfer-Encoding: binary",
    "",
    lines,
    "--b--",
    "",
  );

  test("become the same as small ones, and know their length", async () => {
    for (const raw of [TEXT, MIXED])
      for (const inHead of [0, 1000]) {
        const made = await toSevenBits(await large(raw, inHead));
        if (made === null || !isLarge(made)) throw new Error("it is not large");
        const whole = Buffer.from(await wholeBody(made));
        expect(whole.equals(convert(raw) ?? raw)).toBe(true);
        expect(made.length).toBe(whole.length);
      }
  });

  test("without 8 bits are what they were; what cannot be converted is not", async () => {
    const plain = await large(message(...HEAD, "", "plain\r\n".repeat(60_000)));
    expect(await toSevenBits(plain)).toBe(plain);
    const signed = message(
      ...HEAD,
      "Content-Type: multipart/signed; boundary=b",
      "",
      "--b",
      "",
      lines,
      "--b--",
    );
    expect(await toSevenBits(await large(signed))).toBeNull();
  });

  test("are sent so, dots and all, with their size", async () => {
    const raw = message(...HEAD, UTF8, "", `.ä\r\n..\r\n${lines}`);
    const peer = await startScriptedPeer(usualServer({ ehlo: ["250-peer", "250 SIZE"] }));
    const deliverer = makeDeliverer();
    const attempt = attemptFor(routes({ port: peer.port }), {});
    const [outcome] = await deliverer.attempt({ ...attempt, message: await large(raw) });
    await deliverer.close(0);
    await peer.close();
    const expected = convert(raw)?.toString() ?? "";
    expect(outcome?.result).toBe("delivered");
    // As it was sent.
    expect(peer.messages[0]).toBe(expected.replaceAll("\r\n.", "\r\n.."));
    expect(peer.commands.find((line) => line.startsWith("MAIL"))).toContain(`SIZE=${expected.length}`);
  });
});
