// A message costs its scan worker time and memory in proportion to its size, however it is built. A worker that hangs defers other mail.
import { expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import { authenticateMessage } from "../../src/checks/authenticate-message.ts";
import { extensionOf, savedName } from "../../src/checks/file-name.ts";
import { walkMime } from "../../src/checks/mime-walk.ts";
import { scanMessage } from "../../src/checks/scan-message.ts";
import { decodeContent } from "../../src/checks/transfer-encoding.ts";
import { processorMs } from "../message/processor-time.ts";

/** Of the processor, in this thread: scanning and authenticating have no other. */
async function milliseconds(work: () => unknown): Promise<number> {
  const started = processorMs();
  await work();
  return processorMs() - started;
}

test("containers encoded within encoded containers are not decoded at every level", () => {
  const level =
    "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  const raw = Buffer.from(`${level.repeat(15)}\r\n${"A".repeat(500_000)}`);
  const tree = walkMime(raw);
  const bodies = new Set(tree.parts.map((part) => part.body.buffer));
  let bytes = 0;
  for (const buffer of bodies) bytes += buffer.byteLength;
  expect(bytes).toBeLessThan(4 * raw.length);
  expect(tree.cut).toBe("parts encoded again and again");
});

test("base64 of millions of padded segments", async () => {
  const body = Buffer.from("QUI=Qg==".repeat(500_000));
  const { bytes, doubt } = decodeContent(body, "base64");
  expect(Buffer.from(bytes.subarray(0, 6)).toString()).toBe("ABBABB");
  expect(bytes.length).toBe(1_500_000);
  expect(doubt).toBe("base64 that goes on after its end");
});

test("file names: long runs of dots, and what stands before or behind them", async () => {
  const dots = ".".repeat(60_000);
  expect(extensionOf(`a.exe${dots}`)).toBe("exe");
  expect(extensionOf(`a.exe${"\u200b".repeat(60_000)}`)).toBe("exe");
  expect(extensionOf(`a.exe::$DATA`)).toBe("exe");
  expect(extensionOf(`a.exe:$DATA. .`)).toBe("exe");
  expect(savedName("a/b\\c.txt")).toBe("c.txt");
  expect(await milliseconds(() => savedName(`${dots}x`))).toBeLessThan(100);
  expect(await milliseconds(() => savedName(`${"::".repeat(30_000)}\u2028`))).toBeLessThan(100);
});

const SPACES = " ".repeat(60_000);
test.each([
  [
    "a signature of white space",
    `DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=s; h=${SPACES}from; bh=AA; b=AA`,
  ],
  ["an ARC field of white space", `ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.test; s=s; b=AA${SPACES}x`],
  ["a line that is no field", `a${SPACES}b: c`],
])("authentication: %s", async (_, line) => {
  const raw = Buffer.from(`${line}\r\nFrom: a@a.test\r\n\r\nx\r\n`);
  const took = await milliseconds(() =>
    authenticateMessage({
      raw,
      client: { ip: "192.0.2.1", helo: "a.test", sender: "a@a.test", hostname: "gate.example.test" },
      wanted: new Set(["spf", "dkim", "dmarc", "arc"]),
      resolve: () => Promise.reject(Object.assign(new Error("no such name"), { code: "ENOTFOUND" })),
    }),
  );
  expect(took).toBeLessThan(1000);
});

/** A zip archive whose directory lists one and the same packed file `count` times. */
function overlapping(data: Buffer, options: { readonly method: 0 | 8; readonly count: number }): Buffer {
  const { method, count } = options;
  const local = Buffer.alloc(31);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(method, 8);
  local.writeUInt32LE(data.length, 18);
  local.writeUInt16LE(1, 26);
  local.write("a", 30);
  const entries = Array.from({ length: count }, (_, i) => {
    const name = Buffer.from(`f${i}`);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(method, 10);
    entry.writeUInt32LE(data.length, 20);
    entry.writeUInt32LE(data.length, 24);
    entry.writeUInt16LE(name.length, 28);
    return Buffer.concat([entry, name]);
  });
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(local.length + data.length, 16);
  return Buffer.concat([local, data, directory, end]);
}

// A zip entry with a data descriptor: file-type looks for its end octet by octet.
const SLOW_KIND = Buffer.concat([
  Buffer.from("504b03041400080008000000000000000000000000000000000001000000", "hex"),
  Buffer.alloc(1_000_000),
]);
test.each([
  ["stored", overlapping(Buffer.alloc(2_000_000, 1), { method: 0, count: 1900 })],
  ["deflated", overlapping(deflateRawSync(SLOW_KIND), { method: 8, count: 1900 })],
])("an archive that lists one %s file again and again", async (_, archive) => {
  const header =
    "From: a@a.test\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n";
  const raw = Buffer.from(header + archive.toString("base64"));
  let found: unknown = null;
  const took = await milliseconds(async () => {
    found = (await scanMessage(raw, ["attachments"])).get("attachments");
  });
  // Minutes where each listing is unpacked and judged; the scan worker has ten seconds.

  expect(took).toBeLessThan(6000);
  // What was not looked at whole is named among what may do harm.
  expect(JSON.stringify(found)).toContain("a.zip › f99");
});
