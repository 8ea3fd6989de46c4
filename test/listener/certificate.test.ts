// The certificate of the first start: made once, private, and clear words for broken files.

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadOrMakeCertificate } from "../../src/listener/certificate.ts";

async function inFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "gatepost-certificate-"));
  try {
    await work(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test("is made once, for this host, and only we can read it", async () => {
  await inFolder(async (parent) => {
    const dir = join(parent, "tls");
    const made = await loadOrMakeCertificate(dir, "gate.example.test");
    const parsed = new X509Certificate(made.cert);
    expect(parsed.checkHost("gate.example.test")).toBe("gate.example.test");
    expect(parsed.publicKey.asymmetricKeyType).toBe("ec");
    expect(made.selfSigned).toBe(true);
    expect(made.notAfter).toBeGreaterThan(Date.now() + 365 * 86_400_000);
    for (const name of ["key.pem", "certificate.pem"])
      expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
    const again = await loadOrMakeCertificate(dir, "gate.example.test");
    expect(again.key.trim()).toBe(made.key.trim());
    expect(again.notAfter).toBe(made.notAfter);
  });
});

test("says what is wrong with the files", async () => {
  await inFolder(async (dir) => {
    await writeFile(join(dir, "key.pem"), "no key");
    expect(loadOrMakeCertificate(dir, "gate.example.test")).rejects.toThrow("certificate.pem");
    await writeFile(join(dir, "certificate.pem"), "no certificate");
    expect(loadOrMakeCertificate(dir, "gate.example.test")).rejects.toThrow(
      "is not a certificate in PEM form",
    );
  });
});
