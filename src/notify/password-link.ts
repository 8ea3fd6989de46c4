// The mail with the link to a new relay password. No I/O.
import { wrap } from "./mime-text.ts";

const WIDTH = 72;

/** Subject and text. The page behind the link says itself when it is over. */
export function passwordLinkText({
  address,
  url,
  hostname,
}: {
  readonly address: string;
  readonly url: string;
  readonly hostname: string;
}): { readonly subject: string; readonly text: string } {
  const text = [
    wrap(
      `Somebody, probably you, asked for a new password for sending mail as ${address} through ${hostname}. Set it on this page:`,
      WIDTH,
      "",
    ),
    "",
    url,
    "",
    wrap("The link works once, within 30 minutes. Do not pass it on.", WIDTH, ""),
    "",
    wrap("If it was not you, do nothing: your password stays as it is.", WIDTH, ""),
    "",
  ].join("\n");
  return { subject: "Set your password for sending mail", text };
}
