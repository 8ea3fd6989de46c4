// Self-signed certificates for tests that open the console's socket: made the way the gateway makes its first one.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConsoleTls } from "../../src/console/serve-console.ts";
import { loadOrMakeCertificate } from "../../src/listener/certificate.ts";

/** A key and certificate whose name is `name`. */
export async function selfSigned(name: string): Promise<ConsoleTls> {
  const dir = await mkdtemp(join(tmpdir(), "gatepost-console-"));
  try {
    const { key, cert } = await loadOrMakeCertificate(dir, name);
    return { key, cert };
  } finally {
    await rm(dir, { recursive: true });
  }
}
