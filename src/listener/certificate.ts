// The certificate of the mail ports: read from the data directory, or made there at first start.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdir, open, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** PEM texts, and what a person should know of them. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** True when nobody but we vouch for it. */
  readonly selfSigned: boolean;
  /** Milliseconds UTC. */
  readonly notAfter: number;
}

const KEY_FILE = "key.pem";
const CERTIFICATE_FILE = "certificate.pem";
const UNFINISHED = ".new";
const VALID_DAYS = 3650;
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/**
 * Reads `key.pem` and `certificate.pem` (a chain, the host's own first) from `dir`; makes a self-signed pair for
 * `hostname` when neither exists. Throws an Error a person can act on when only one is there or they are unreadable.
 */
export async function loadOrMakeCertificate(dir: string, hostname: string): Promise<Certificate> {
  const key = await readText(join(dir, KEY_FILE));
  const cert = (await readText(join(dir, CERTIFICATE_FILE))) ?? (await unfinishedCertificate(dir, key));
  if (key === null && cert === null) return makeCertificate(dir, hostname);
  if (key === null || cert === null) {
    const missing = join(dir, key === null ? KEY_FILE : CERTIFICATE_FILE);
    throw new Error(
      `"${missing}" is missing; put it beside the other file, or remove both to get a new pair`,
    );
  }
  const known = facts(cert, join(dir, CERTIFICATE_FILE));
  refuseStrangers(key, cert, dir);
  return { key, cert, ...known };
}

/** A renewal that is caught half way, or a file in the wrong place, must not replace a pair that works. */
function refuseStrangers(key: string, cert: string, dir: string): void {
  let belong: boolean;
  try {
    belong = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (err) {
    throw new Error(`"${join(dir, KEY_FILE)}" is not a private key in PEM form without a password`, {
      cause: err,
    });
  }
  if (!belong) throw new Error(`"${KEY_FILE}" and "${CERTIFICATE_FILE}" in "${dir}" do not belong together`);
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (err) {
    if (err instanceof Error && "code" in err && err.code === "ENOENT") return null;
    throw new Error(`"${path}" cannot be read; make it readable for the gateway's user`, { cause: err });
  }
}

function facts(cert: string, path: string): Pick<Certificate, "selfSigned" | "notAfter"> {
  try {
    const parsed = new X509Certificate(cert);
    return { selfSigned: parsed.issuer === parsed.subject, notAfter: Date.parse(parsed.validTo) };
  } catch (err) {
    throw new Error(`"${path}" is not a certificate in PEM form`, { cause: err });
  }
}

async function makeCertificate(dir: string, hostname: string): Promise<Certificate> {
  // Loaded at first start only: it is large and never needed again.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
  // Certificates know whole seconds only.
  const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000 - 86_400_000);
  const notAfter = new Date(notBefore.getTime() + VALID_DAYS * 86_400_000);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [hostname] }],
    keys,
    notBefore,
    notAfter,
    signingAlgorithm: ECDSA,
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: hostname }]),
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = x509.PemConverter.encode(pkcs8, "PRIVATE KEY");
  const cert = made.toString("pem");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  // Both are on the disk before one of them has its name.
  await writeSynced(`${join(dir, KEY_FILE)}${UNFINISHED}`, `${key}\n`);
  await writeSynced(`${join(dir, CERTIFICATE_FILE)}${UNFINISHED}`, `${cert}\n`);
  for (const name of [KEY_FILE, CERTIFICATE_FILE])
    await rename(`${join(dir, name)}${UNFINISHED}`, join(dir, name));
  await syncPath(dir);
  return { key, cert, selfSigned: true, notAfter: notAfter.getTime() };
}

/** The other half of a pair whose making was cut off between its two names; null when there is none. */
async function unfinishedCertificate(dir: string, key: string | null): Promise<string | null> {
  const unfinished = `${join(dir, CERTIFICATE_FILE)}${UNFINISHED}`;
  if (key === null) return null;
  const cert = await readText(unfinished);
  if (cert === null) return null;
  refuseStrangers(key, cert, dir);
  await rename(unfinished, join(dir, CERTIFICATE_FILE));
  await syncPath(dir);
  return cert;
}

/** A power cut must not leave an empty key. */
async function writeSynced(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, 0o600);
  await syncPath(path);
}

async function syncPath(path: string): Promise<void> {
  await using handle = await open(path, "r");
  await handle.sync();
}
