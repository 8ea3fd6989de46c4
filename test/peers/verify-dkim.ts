// DKIM verifiers that are not ours, from Debian: python3-dkim, and OpenDKIM's opendkim-testmsg. Both are fed the records of the test.
import { createSocket, type Socket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDnsServer } from "../dns-server.ts";
import { findProgram, havePrograms, runCommand } from "./run-command.ts";

/** TXT records by name. */
export type KeyRecords = Readonly<Record<string, string>>;

export interface DkimVerifier {
  /** Null when the message's one signature is good, else what the verifier says. */
  verify(mail: Uint8Array, records: KeyRecords): Promise<string | null>;
  close(): Promise<void>;
}

const PYTHON = "/usr/bin/python3";
/** Answers each line of input, a message and the records, with a line. One process: starting Python takes longer than verifying. */
const SCRIPT = `
import base64, json, sys, dkim
for line in sys.stdin:
    asked = json.loads(line)
    def txt(name, timeout=5):
        value = asked["records"].get(name.decode().rstrip("."))
        return None if value is None else value.encode()
    try:
        good = dkim.DKIM(base64.b64decode(asked["mail"])).verify(dnsfunc=txt)
        print(json.dumps(None if good is True else "the signature is not good"), flush=True)
    except Exception as error:
        print(json.dumps(type(error).__name__ + ": " + str(error)), flush=True)
`;

/** Both verifiers, whether they are there, and how to start them; says loudly which tests of `subject` are skipped without them. */
export async function dkimVerifiers(
  subject: string,
): Promise<readonly (readonly [name: string, able: boolean, start: () => Promise<DkimVerifier>])[]> {
  const program = findProgram("opendkim-testmsg");
  const canOpenDkim =
    havePrograms(`${subject} against opendkim-testmsg`, ["opendkim-testmsg", "unshare"]) &&
    process.getuid?.() === 0;
  if (!canOpenDkim)
    console.log(`SKIPPED ${subject} against opendkim-testmsg: it needs Debian's opendkim-tools and root`);
  const canPython = await havePythonDkim();
  if (!canPython)
    console.log(`SKIPPED ${subject} against python3-dkim: not installed: python3-dkim python3-nacl`);
  return [
    ["python3-dkim", canPython, async () => pythonDkim()],
    ["opendkim-testmsg", canOpenDkim, () => openDkim(program ?? "")],
  ];
}

/** True when Debian's python3-dkim is there, with python3-nacl for Ed25519. */
async function havePythonDkim(): Promise<boolean> {
  return (await runCommand([PYTHON, "-c", "import dkim, nacl"]).catch(() => ({ code: 1 }))).code === 0;
}

function pythonDkim(): DkimVerifier {
  const python = Bun.spawn([PYTHON, "-c", SCRIPT], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const waiting: ((verdict: string | null) => void)[] = [];
  let ended: string | null = null;
  const reading = (async () => {
    let text = "";
    for await (const chunk of python.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) waiting.shift()?.(JSON.parse(line) as string | null);
    }
    ended = `python3 ended: ${await new Response(python.stderr).text()}`;
    for (const tell of waiting) tell(ended);
  })();
  return {
    verify: (mail, records) =>
      new Promise((resolve) => {
        if (ended !== null) return resolve(ended);
        waiting.push(resolve);
        python.stdin.write(`${JSON.stringify({ mail: Buffer.from(mail).toString("base64"), records })}\n`);
        void python.stdin.flush();
      }),
    async close() {
      await python.stdin.end();
      await reading;
    },
  };
}

/** The DKIM-Signature fields on top of a message, in order; ours do not sign each other. */
export function signaturesOnTop(mail: Uint8Array): readonly string[] {
  const text = Buffer.from(mail).toString("latin1");
  const fields = /^(?:DKIM-Signature:.*\r\n(?:[ \t].*\r\n)+)+/.exec(text)?.[0] ?? "";
  return fields === "" ? [] : fields.split(/(?=^DKIM-Signature:)/m);
}

/** The message with one of its signatures only: both verifiers judge one. Throws unless there is exactly one of that algorithm. */
export function withSignature(mail: Uint8Array, algorithm: string): Buffer {
  const all = signaturesOnTop(mail);
  const each = all.filter((field) => field.includes(` a=${algorithm}-sha256;`));
  const [field] = each;
  if (field === undefined || each.length !== 1)
    throw new Error(`expected one ${algorithm} signature, found ${each.length}`);
  const rest = Buffer.from(mail).subarray(all.join("").length);
  return Buffer.concat([Buffer.from(field, "latin1"), rest]);
}

/** An address of our own on the loopback network: libc asks port 53 only. */
const NAME_SERVER = "127.53.71.9";

/** OpenDKIM asks libc, whose servers are in /etc/resolv.conf: it gets one of its own in a mount namespace. Needs root. */
async function openDkim(program: string): Promise<DkimVerifier> {
  const directory = mkdtempSync(join(tmpdir(), "gatepost-opendkim-"));
  writeFileSync(join(directory, "resolv.conf"), `nameserver ${NAME_SERVER}\noptions timeout:5 attempts:2\n`);
  const dns = await startDnsServer();
  const relay = await relayFrom53(dns.port);
  let count = 0;
  return {
    async verify(mail, records) {
      for (const [name, value] of Object.entries(records)) dns.set(name, { TXT: [value] });
      count++;
      const file = join(directory, `${count}.eml`);
      writeFileSync(file, mail);
      const script = `mount --bind "$1/resolv.conf" /etc/resolv.conf && exec "$2" -t "$1" < "$3"`;
      const { code, out, err } = await runCommand([
        "unshare",
        "--mount",
        "sh",
        "-c",
        script,
        "sh",
        directory,
        program,
        file,
      ]);
      return code === 0 ? null : `exit code ${code} ${out}${err}`;
    },
    async close() {
      relay.close();
      await dns.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Passes datagrams on to the test's DNS server and its answers back. */
async function relayFrom53(port: number): Promise<Socket> {
  const relay = createSocket("udp4");
  relay.on("message", (query, peer) => {
    const asking = createSocket("udp4");
    asking.once("message", (answer) => {
      relay.send(answer, peer.port, peer.address);
      asking.close();
    });
    asking.send(query, port, "127.0.0.1");
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  relay.once("error", reject);
  relay.bind(53, NAME_SERVER, resolve);
  await promise;
  return relay;
}
