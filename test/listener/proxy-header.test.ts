// The PROXY header parser against headers made by the book, and against anything else.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readProxyHeader } from "../../src/listener/proxy-header.ts";
import { normalIp } from "../../src/session/ip-address.ts";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

function version2(command: number, family: number, body: Buffer, bodyBytes = body.length): Buffer {
  const fixed = Buffer.alloc(4);
  fixed[0] = command;
  fixed[1] = family;
  fixed.writeUInt16BE(bodyBytes, 2);
  return Buffer.concat([SIGNATURE, fixed, body]);
}

function addresses4(source: number[], port: number): Buffer {
  const body = Buffer.alloc(12);
  body.set(source, 0);
  body.set([192, 0, 2, 1], 4);
  body.writeUInt16BE(port, 8);
  body.writeUInt16BE(25, 10);
  return body;
}

const octet = fc.integer({ min: 0, max: 255 });
const portNumber = fc.integer({ min: 0, max: 65535 });
const ip4 = fc.array(octet, { minLength: 4, maxLength: 4 });
const ip6 = fc.array(fc.integer({ min: 0, max: 65535 }), { minLength: 8, maxLength: 8 });

describe("PROXY header", () => {
  test("version 1 comes back as written, and every beginning of it is partial", () => {
    fc.assert(
      fc.property(ip4, portNumber, (source, port) => {
        const text = `PROXY TCP4 ${source.join(".")} 192.0.2.1 ${port} 25\r\n`;
        expect(readProxyHeader(Buffer.from(`${text}EHLO c\r\n`))).toEqual({
          kind: "header",
          length: text.length,
          client: { ip: source.join("."), port },
        });
        for (let cut = 1; cut < text.length; cut++)
          expect(readProxyHeader(Buffer.from(text.slice(0, cut))).kind).toBe("partial");
      }),
      { numRuns: 50 },
    );
  });

  test("version 2 over IPv4 and IPv6, with TLVs skipped", () => {
    fc.assert(
      fc.property(ip4, ip6, portNumber, fc.uint8Array({ maxLength: 300 }), (v4, v6, port, tlvs) => {
        const four = version2(0x21, 0x11, Buffer.concat([addresses4(v4, port), tlvs]));
        expect(readProxyHeader(Buffer.concat([four, Buffer.from("NOOP")]))).toEqual({
          kind: "header",
          length: four.length,
          client: { ip: v4.join("."), port },
        });
        const body = Buffer.alloc(36);
        for (const [i, group] of v6.entries()) body.writeUInt16BE(group, i * 2);
        body.writeUInt16BE(port, 32);
        const six = version2(0x21, 0x21, Buffer.concat([body, tlvs]));
        const ip = normalIp(v6.map((group) => group.toString(16)).join(":"));
        expect(ip).not.toBeNull();
        expect(readProxyHeader(six)).toEqual({
          kind: "header",
          length: six.length,
          client: { ip: ip ?? "", port },
        });
        for (const cut of [1, 12, 15, 16, six.length - 1])
          expect(readProxyHeader(six.subarray(0, cut)).kind).toBe("partial");
      }),
      { numRuns: 200 },
    );
  });

  test("LOCAL names nobody", () => {
    expect(readProxyHeader(version2(0x20, 0, Buffer.alloc(0)))).toEqual({
      kind: "header",
      length: 16,
      client: null,
    });
  });

  test.each([
    ["version 1 UNKNOWN", Buffer.from("PROXY UNKNOWN\r\n")],
    ["version 1 UNKNOWN with addresses", Buffer.from("PROXY UNKNOWN 192.0.2.7 192.0.2.1 1 2\r\n")],
    ["version 1 UNKNOWN with the longest addresses", Buffer.from(`PROXY UNKNOWN ${"f".repeat(91)}\r\n`)],
    ["version 1 UNKNOWN with anything", Buffer.from("PROXY UNKNOWN \0\xff x  y\r\n", "latin1")],
    ["version 2 unspecified", version2(0x21, 0x00, Buffer.alloc(0))],
    ["version 2 unspecified with TLVs", version2(0x21, 0x00, Buffer.alloc(40, 4))],
    ["version 2 unspecified over TCP", version2(0x21, 0x01, Buffer.alloc(0))],
    ["version 2 LOCAL with addresses", version2(0x20, 0x11, addresses4([192, 0, 2, 7], 1))],
  ])("%s names nobody", (_, bytes) => {
    expect(readProxyHeader(Buffer.concat([bytes, Buffer.from("EHLO c\r\n")]))).toEqual({
      kind: "header",
      length: bytes.length,
      client: null,
    });
    for (let cut = 1; cut < bytes.length; cut++)
      expect(readProxyHeader(bytes.subarray(0, cut)).kind).toBe("partial");
  });

  test.each([
    ["version 1 with a name", Buffer.from("PROXY TCP4 host.example 192.0.2.1 1 2\r\n")],
    ["version 1 with the wrong family", Buffer.from("PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n")],
    ["version 1 with a short address", Buffer.from("PROXY TCP4 127.1 192.0.2.1 1 2\r\n")],
    ["version 1 with a port too high", Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n")],
    ["version 1 with a port in octal", Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n")],
    ["version 1 with too much", Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n")],
    ["version 1 without end", Buffer.from(`PROXY TCP4 ${"1".repeat(120)}`)],
    ["version 2 of a socket file", version2(0x21, 0x31, Buffer.alloc(216))],
    ["version 2 over UDP", version2(0x21, 0x12, addresses4([192, 0, 2, 7], 1))],
    ["version 2 too short", version2(0x21, 0x11, Buffer.alloc(11))],
    ["version 2 with an unknown command", version2(0x22, 0x11, addresses4([192, 0, 2, 7], 1))],
    ["version 3", version2(0x31, 0x11, addresses4([192, 0, 2, 7], 1))],
    ["version 2 too long", version2(0x21, 0x11, Buffer.alloc(0), 65535)],
  ])("refuses %s", (_, bytes) => {
    expect(readProxyHeader(bytes).kind).toBe("invalid");
  });

  test("whatever comes, it answers, and what is no header is none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const found = readProxyHeader(Buffer.concat([SIGNATURE, bytes]));
        if (found.kind === "header") expect(found.length).toBeLessThanOrEqual(12 + bytes.length);
        expect(readProxyHeader(Buffer.concat([Buffer.from("EHLO "), bytes])).kind).toBe("none");
      }),
    );
  });
});
