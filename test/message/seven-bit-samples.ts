// 8-bit messages, and how they are converted, for the tests of both.
import { SevenBitConverter, SevenBitSurvey } from "../../src/message/seven-bit.ts";

export const message = (...lines: readonly string[]) => Buffer.from(lines.join("\r\n"));
export const HEAD = ["From: a@example.org", "Subject: x", "MIME-Version: 1.0"];
export const UTF8 = "Content-Type: text/plain; charset=utf-8";

/** Converted in pieces of so many octets; null when it cannot be, itself when there is nothing to convert. */
export function convert(raw: Buffer, pieceBytes = raw.length): Buffer | null {
  const pieces: Buffer[] = [];
  for (let at = 0; at < raw.length; at += pieceBytes)
    pieces.push(Buffer.from(raw.subarray(at, at + pieceBytes)));
  const survey = new SevenBitSurvey();
  for (const piece of pieces) survey.take(piece);
  const plan = survey.finish();
  if (plan === null) return null;
  if (plan === "none") return raw;
  const converter = new SevenBitConverter(plan);
  const made = pieces.map((piece) => Buffer.from(converter.take(piece)));
  return Buffer.concat([...made, converter.finish()]);
}

export const CONVERTED: [string, Buffer][] = [
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

export const mixed = (...part: readonly string[]) =>
  message(...HEAD, "Content-Type: multipart/mixed; boundary=b", "", "--b", ...part, "--b--", "");
/** What is converted although something in it seems to speak against it, and what becomes of the line that matters. */
export const CONVERTED_TOO: [string, Buffer, string][] = [
  ["a stranger's DKIM", message("DKIM-Signature: v=1; b=x", ...HEAD, UTF8, "", "ä", ""), "=C3=A4"],
  ["ARC", message("ARC-Message-Signature: i=1", ...HEAD, UTF8, "", "ä", ""), "=C3=A4"],
  [
    "a signed message within",
    mixed("Content-Type: message/rfc822", "", "DKIM-Signature: v=1", "", "ä"),
    "=C3=A4",
  ],
  [
    "PGP in the text",
    message(...HEAD, UTF8, "", "-----BEGIN PGP SIGNED MESSAGE-----", "", "ä", ""),
    "=C3=A4",
  ],
  [
    "8 bits in quoted-printable",
    message(...HEAD, UTF8, "Content-Transfer-Encoding: quoted-printable", "", "a=20=", "bä", ""),
    "a=20=\r\nb=C3=A4",
  ],
  [
    "8 bits in base64",
    message(...HEAD, UTF8, "Content-Transfer-Encoding: base64", "", "YWJj", "ä", "ZGVm", ""),
    "YWJj\r\n\r\nZGVm",
  ],
  [
    "an encoding nobody knows",
    message(...HEAD, UTF8, "Content-Transfer-Encoding: 8-bit", "", "ä", ""),
    "Encoding: quoted-printable\r\n\r\n=C3=A4",
  ],
  [
    "an encoding with a comment",
    message(...HEAD, UTF8, "Content-Transfer-Encoding: (so) 8BIT (it is)", "", "ä", ""),
    "=C3=A4",
  ],
  [
    "two encodings",
    message(
      "Content-Transfer-Encoding: 8bit",
      UTF8,
      "content-transfer-encoding : binary",
      "Subject: x",
      "",
      "ä",
      "",
    ),
    "Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=utf-8\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\n=C3=A4",
  ],
  [
    "an 8-bit preamble and epilogue",
    message(...HEAD, "Content-Type: multipart/mixed; boundary=b", "", "ä", "--b", "", "x", "--b--", "ö"),
    "\r\n\r\n??\r\n--b\r\n\r\nx\r\n--b--\r\n??",
  ],
  [
    "a digest, whose parts are messages",
    message(
      ...HEAD,
      "Content-Type: multipart/digest; boundary=b",
      "",
      "--b",
      "",
      "Subject: y",
      UTF8,
      "",
      "ä",
      "--b--",
      "",
    ),
    "--b\r\n\r\nSubject: y\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--b--",
  ],
  [
    "a notice in UTF-8 (RFC 6533)",
    mixed("Content-Type: message/global-delivery-status", "", "Final-Recipient: utf-8; ä@ö"),
    "Encoding: quoted-printable\r\n\r\nFinal-Recipient: utf-8; =C3=A4@=C3=B6",
  ],
  [
    "a message in UTF-8 (RFC 6532)",
    mixed("Content-Type: message/global", "", "Subject: ä", "", "x"),
    "Encoding: quoted-printable\r\n\r\nSubject: =C3=A4\r\n\r\nx",
  ],
  [
    "a part that ends within its header",
    mixed(UTF8, "--b", UTF8, "", "ä"),
    `--b\r\n${UTF8}\r\n--b\r\n${UTF8}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--b--`,
  ],
  [
    "a part without a header",
    mixed("", "ä"),
    "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A4\r\n--b--",
  ],
  [
    "a multipart that does not end",
    message(...HEAD, "Content-Type: multipart/mixed; boundary=b", "", "--b", UTF8, "", "ä"),
    "=C3=A4",
  ],
  [
    "a boundary with an escape, and one that begins like it",
    message(
      ...HEAD,
      'Content-Type: multipart/mixed; boundary="a\\b"',
      "",
      "--ab",
      UTF8,
      "",
      "ä",
      "--abc",
      "--a",
      "--ab--",
      "",
    ),
    "=C3=A4\r\n--abc\r\n--a\r\n--ab--",
  ],
];
export const KEPT: [string, Buffer][] = [
  [
    "S/MIME",
    message(...HEAD, "Content-Type: multipart/signed; boundary=b", "", "--b", UTF8, "", "ä", "--b--", ""),
  ],
  ["a signed part", mixed("Content-Type: multipart/signed; boundary=c", "", "--c", UTF8, "", "ä", "--c--")],
  ["a fragment", message(...HEAD, "Content-Type: message/partial; id=x; number=1", "", UTF8, "", "ä", "")],
  ["an external body", mixed("Content-Type: message/external-body; access-type=x", "", "a: b", "", "ä")],
  ["uuencode", message(...HEAD, UTF8, "Content-Transfer-Encoding: x-uuencode", "", "ä", "")],
  ["no boundary", message(...HEAD, "Content-Type: multipart/mixed", "", "ä", "")],
];
