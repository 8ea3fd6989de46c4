// A message as people send them: text, HTML and an attachment, for the workloads in which content is checked.

/** About `bytes` octets with CRLF line ends; the same text for the same size. */
export function mimeMessage(bytes: number): string {
  const words =
    "the quick brown fox jumps over the lazy dog while the report for the third quarter is being written";
  const paragraph = `${words.charAt(0).toUpperCase()}${words.slice(1)}.\r\n`;
  const text = paragraph.repeat(Math.ceil((bytes * 0.15) / paragraph.length));
  const html = `<p>${paragraph}</p>\r\n`.repeat(Math.ceil((bytes * 0.25) / (paragraph.length + 9)));
  const attachment = new Uint8Array(Math.max(64, Math.floor(bytes * 0.4)));
  for (const [index] of attachment.entries()) attachment[index] = (index * 2654435761) >>> 24;
  attachment.set(new TextEncoder().encode("%PDF-1.4\n"));
  const encoded = Buffer.from(attachment).toString("base64").replace(/.{76}/g, "$&\r\n");
  return [
    "From: Sender <bench@example.org>",
    "To: Recipient <user@example.test>",
    "Subject: The report for the third quarter",
    "Date: Sat, 21 Nov 2026 12:00:00 +0000",
    "Message-ID: <bench@example.org>",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="outer"',
    "",
    "--outer",
    'Content-Type: multipart/alternative; boundary="inner"',
    "",
    "--inner",
    "Content-Type: text/plain; charset=utf-8",
    "",
    text,
    "--inner",
    "Content-Type: text/html; charset=utf-8",
    "",
    `<html><body>${html}</body></html>`,
    "--inner--",
    "--outer",
    'Content-Type: application/pdf; name="report.pdf"',
    'Content-Disposition: attachment; filename="report.pdf"',
    "Content-Transfer-Encoding: base64",
    "",
    encoded,
    "--outer--",
    "",
  ].join("\r\n");
}
