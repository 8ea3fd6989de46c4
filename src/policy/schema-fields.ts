// The kinds of value settings are made of: each parses what people write and says in words what is wrong with it.
import { z } from "zod";
import { domainKey, parseAddress, parseDomain, parseNetwork } from "../message/address.ts";
import { durationMs, parseDuration } from "./duration.ts";

export const domainName = z.string().transform((text, context) => {
  const parsed = parseDomain(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: parsed.reason });
  return z.NEVER;
});
export const mailAddress = z.string().transform((text, context) => {
  const parsed = parseAddress(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: parsed.reason });
  return z.NEVER;
});
export const network = z.string().transform((text, context) => {
  const parsed = parseNetwork(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({ code: "custom", message: parsed.reason });
  return z.NEVER;
});
/** What somebody logs in with: a mail address, or a plain name such as `scanner1`, for devices that cannot write an address there. */
export const loginName = z.string().transform((text, context): string => {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) return text;
  const parsed = parseAddress(text);
  if (parsed.ok) return parsed.value;
  context.addIssue({
    code: "custom",
    message: `${parsed.reason}, or a plain name of letters, digits, dot, dash and underscore`,
  });
  return z.NEVER;
});
const NOT_A_DURATION = "is not a duration; write it like 30s, 10m, 4h or 5d";
/** `10m`, `1h`, `5d` or a number of seconds; kept as written, read with `parseDuration`. */
export const duration = z
  .union(
    [
      z.string(),
      z
        .number()
        .int()
        .nonnegative()
        .transform((s) => `${s}s`),
    ],
    { error: NOT_A_DURATION },
  )
  .refine((text) => parseDuration(text).ok, { message: NOT_A_DURATION });
/** A duration that is neither shorter nor longer than these: `durationWithin("1s", "31d")`. */
export const durationWithin = (least: string, most: string) =>
  duration.refine((text) => isWithin(text, least, most), {
    message: `must be at least ${least} and at most ${most}`,
  });
const NOT_A_SIZE = "is not a size; write it in octets or like 500 MB or 2 GB";
const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};
/** Octets, as a number or like `500 MB`; kept as a number. */
export const byteSize = z
  .union([z.string(), z.number().int().nonnegative()], { error: NOT_A_SIZE })
  .transform((value, context) => {
    if (typeof value === "number") return value;
    const [, amount = "", unit = ""] =
      /^(\d{1,15}(?:\.\d{1,6})?) *([kmgt]?)(?:i?b|bytes|octets)?$/i.exec(value.trim()) ?? [];
    const octets = Math.round(Number(amount) * (SIZE_UNITS[unit.toLowerCase()] ?? 1));
    if (amount !== "" && Number.isSafeInteger(octets)) return octets;
    context.addIssue({ code: "custom", message: NOT_A_SIZE });
    return z.NEVER;
  });
export const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,60}$/, "is not the name of a header; it has 1 to 60 letters, digits and dashes");
/** Text that becomes part of a header: one line, so that it cannot bring further header lines with it. */
export const oneLine = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\u0000-\u001f\u007f]*$/, "must be one line without control characters");
export const port = z.number().int().min(1).max(65535);
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be 1 to 63 of a-z, 0-9, dot, dash, underscore");
export const listenAddress = z
  .string()
  .regex(
    /^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/,
    'is not an address with a port; write it like "0.0.0.0:25" or "[::]:25"',
  );
export const host = z
  .string()
  .min(1)
  .max(253)
  // U-labels and A-labels are the same name. An address or what is no name stays as it is.
  .transform((text) => (/[^\x00-\x7f]/.test(text) ? domainKey(text) : text))
  .pipe(z.string().regex(/^[A-Za-z0-9._:[\]-]+$/, "is not a host name or IP address"));

export const tlsPolicy = z.enum(["none", "opportunistic", "required", "verified", "implicit"]);

/** A web address of http or https, without login in it. */
export const webAddress = z
  .string()
  .max(2000)
  .refine(isWebAddress, { message: "is not a web address; write it like https://example.org/path" });

function isWithin(text: string, least: string, most: string): boolean {
  const parsed = parseDuration(text);
  // What is no duration at all was refused in words of its own.
  return !parsed.ok || (parsed.value >= durationMs(least) && parsed.value <= durationMs(most));
}

function isWebAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === "https:" || protocol === "http:") && username === "" && password === "";
}

/**
 * What becomes of mail whose From is of no domain of this gateway, handed in by a server of ours: `allow` takes it, `signed` takes what
 * the author's own domain has signed (DKIM), `refuse` takes none. It never passes in the name of another domain of this gateway.
 */
export const forwards = z.enum(["allow", "signed", "refuse"]);
