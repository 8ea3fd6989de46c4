// Builders of MIME messages and zip archives for tests.
import { crc32, deflateRawSync } from "node:zlib";
import { message } from "../message/message-samples.ts";

export interface Part {
  readonly header: readonly string[];
  readonly body: string | Uint8Array;
}

/** A multipart/mixed message with the boundary `b`. */
export function multipart(parts: readonly Part[], extra: readonly string[] = []): Buffer {
  const pieces = parts.flatMap(({ header, body }) => [
    Buffer.from(`--b\r\n${header.map((line) => `${line}\r\n`).join("")}\r\n`),
    Buffer.from(body),
    Buffer.from("\r\n"),
  ]);
  const head = message(["From: a@example.org", ...extra, 'Content-Type: multipart/mixed; boundary="b"'], "");
  return Buffer.concat([head, ...pieces, Buffer.from("--b--\r\n")]);
}

/** An attached file in base64. */
export function attached(name: string, bytes: Uint8Array): Part {
  return {
    header: [`Content-Disposition: attachment; filename="${name}"`, "Content-Transfer-Encoding: base64"],
    body: Buffer.from(bytes).toString("base64").replace(/.{76}/g, "$&\r\n"),
  };
}

export interface ZipFile {
  readonly name: string;
  readonly data: Uint8Array;
  /** Name in the local header, when it shall differ. */
  readonly localName?: string;
  readonly flags?: number;
  /** Left out of the central directory. */
  readonly hidden?: boolean;
}

/** A zip archive, with lies on request. (APPNOTE 4.3) */
export function zip(files: readonly ZipFile[]): Buffer {
  const local: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, localName = name, flags = 0, hidden = false } of files) {
    const packed = deflateRawSync(data);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(flags, 2);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(data.length, 18);
    fields.writeUInt16LE(Buffer.byteLength(localName), 22);
    const entry = Buffer.concat([Buffer.from("PK\u0003\u0004"), fields, Buffer.from(localName), packed]);
    local.push(entry);
    if (!hidden) {
      const central = Buffer.alloc(42);
      central.writeUInt16LE(20, 0);
      fields.copy(central, 2);
      central.writeUInt16LE(Buffer.byteLength(name), 24);
      central.writeUInt32LE(offset, 38);
      directory.push(Buffer.from("PK\u0001\u0002"), central, Buffer.from(name));
    }
    offset += entry.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  const listed = files.filter(({ hidden }) => hidden !== true).length;
  end.writeUInt16LE(listed, 4);
  end.writeUInt16LE(listed, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...local, central, Buffer.from("PK\u0005\u0006"), end]);
}
