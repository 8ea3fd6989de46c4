// Reads a dialogue file and plays it against a gateway. The language is in README.md.
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { reply } from "../../src/policy/reply.ts";
import type { TrialGateway } from "../listener/trial-gateway.ts";
import { small } from "../message/small-body.ts";
import { statesOf, toldWords } from "./told-words.ts";

const REPLY_MS = 8000;

/** Decodes `\r \n \0 \xHH \\`. Text is sent as UTF-8, \xHH as that octet. */
function decodeText(text: string): Buffer {
  const parts: Buffer[] = [];
  for (const match of text.matchAll(/\\(?:x([0-9a-fA-F]{2})|(.))|([^\\]+)/gs)) {
    const [, hex, one, plain] = match;
    if (hex !== undefined) parts.push(Buffer.from([Number.parseInt(hex, 16)]));
    else if (one !== undefined) parts.push(Buffer.from({ r: "\r", n: "\n", "0": "\0", t: "\t" }[one] ?? one));
    else if (plain !== undefined) parts.push(Buffer.from(plain));
  }
  return Buffer.concat(parts);
}

function matches(line: string, pattern: string): boolean {
  const source = pattern
    .split("*")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${source}$`).test(line);
}

/** One connection of a dialogue. */
class Line {
  #socket: Socket;
  #received = "";
  #closed = false;
  #wake: (() => void) | null = null;
  #lastReply: string[] = [];
  bytewise = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
      this.#wake?.();
    });
    const gone = () => {
      this.#closed = true;
      this.#wake?.();
    };
    socket.on("end", gone);
    socket.on("close", gone);
    socket.on("error", gone);
  }

  async #until(ready: () => boolean, ms: number): Promise<boolean> {
    const end = Date.now() + ms;
    while (!ready()) {
      const left = end - Date.now();
      if (left <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return true;
  }

  async line(): Promise<string> {
    await this.#until(() => this.#received.includes("\r\n") || this.#closed, REPLY_MS);
    const end = this.#received.indexOf("\r\n");
    if (end < 0) throw new Error(`no line came; ${this.#closed ? "closed" : "open"}, "${this.#received}"`);
    const line = this.#received.slice(0, end);
    if (/[\r\n]/.test(line)) throw new Error(`a bare CR or LF in ${JSON.stringify(line)}`);
    this.#received = this.#received.slice(end + 2);
    return line;
  }

  async reply(code: string): Promise<void> {
    this.#lastReply = [];
    for (;;) {
      const line = await this.line();
      this.#lastReply.push(line);
      if (!line.startsWith(code)) throw new Error(`wanted ${code}, got "${line}"`);
      if (line.charAt(3) !== "-") return;
    }
  }

  lastReplyHas(text: string): boolean {
    return this.#lastReply.some((line) => line.includes(text));
  }

  async send(bytes: Buffer): Promise<void> {
    if (!this.bytewise) {
      this.#socket.write(bytes);
      return;
    }
    for (const byte of bytes) {
      this.#socket.write(Buffer.from([byte]));
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
    }
  }

  async silence(ms: number): Promise<void> {
    if (await this.#until(() => this.#received !== "" || this.#closed, ms))
      throw new Error(`wanted silence, got ${this.#closed ? "a close" : JSON.stringify(this.#received)}`);
  }

  async closed(before: string): Promise<void> {
    if (!(await this.#until(() => this.#closed, REPLY_MS))) throw new Error("the server did not close");
    if (this.#received !== "" && before !== "*")
      throw new Error(`more came before the close: ${JSON.stringify(this.#received)}`);
  }

  async upgrade(): Promise<void> {
    if (this.#received !== "") throw new Error(`before the handshake came ${JSON.stringify(this.#received)}`);
    const plain = this.#socket;
    plain.removeAllListeners();
    const secure = connectTls({ socket: plain, rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", resolve);
      secure.once("error", reject);
    });
    this.#socket = secure;
    this.#listen(secure);
  }

  halfClose(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** Plays a dialogue; throws with the line number and what was wrong. */
export async function playDialog(text: string, gateway: TrialGateway): Promise<void> {
  const { queue } = gateway;
  // What the connections before this one leave behind is theirs.
  while (gateway.listeners.connections() > 0) await new Promise<void>((resolve) => setTimeout(resolve, 2));
  queue.accepted.length = 0;
  queue.records.length = 0;
  queue.failing = null;
  gateway.outgoing.reset();
  gateway.stopped.length = 0;
  const player = new Player(gateway);
  let number = 0;
  try {
    for (const line of text.split("\n")) {
      number++;
      if (line !== "" && !line.startsWith("#")) await player.step(line);
    }
  } catch (err) {
    throw new Error(`line ${number}: ${err instanceof Error ? err.message : String(err)}`, { cause: err });
  } finally {
    player.end();
  }
}

class Player {
  readonly #gateway: TrialGateway;
  #listener = "mx";
  #from = "127.0.0.2";
  #line: Line | null = null;

  constructor(gateway: TrialGateway) {
    this.#gateway = gateway;
  }

  end(): void {
    this.#line?.destroy();
  }

  async #open(): Promise<Line> {
    if (this.#line !== null) return this.#line;
    const port = this.#gateway.port(this.#listener);
    const socket = connectTcp({
      port,
      host: "127.0.0.1",
      localAddress: this.#from,
      allowHalfOpen: true,
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    this.#line = new Line(socket);
    return this.#line;
  }

  async step(line: string): Promise<void> {
    const space = line.indexOf(" ");
    const word = space < 0 ? line : line.slice(0, space);
    const rest = space < 0 ? "" : line.slice(space + 1);
    if (!(await this.#talk(word, rest)) && !(await this.#steer(word, rest)) && !this.#expect(word, rest))
      throw new Error(`unknown word "${word}"`);
  }

  /** `N text` of the repeating words. */
  #repeated(rest: string): { readonly count: number; readonly text: string } {
    const space = rest.indexOf(" ");
    return { count: Number(rest.slice(0, space)), text: rest.slice(space + 1) };
  }

  async #talk(word: string, rest: string): Promise<boolean> {
    const { count, text } = this.#repeated(rest);
    switch (word) {
      case "C:":
        await (await this.#open()).send(Buffer.from(`${rest}\r\n`));
        return true;
      case "C~":
        await (await this.#open()).send(decodeText(rest));
        return true;
      case "C>": {
        const lines = Array.from({ length: count }, (_, i) => `${text.replace("%d", String(i + 1))}\r\n`);
        await (await this.#open()).send(Buffer.from(lines.join("")));
        return true;
      }
      case "C#":
        await (await this.#open()).send(Buffer.alloc(count, text));
        return true;
      case "C*":
        await (await this.#open()).send(Buffer.concat(Array.from({ length: count }, () => decodeText(text))));
        return true;
      case "S:": {
        const line = await (await this.#open()).line();
        if (!matches(line, rest)) throw new Error(`wanted "${rest}", got "${line}"`);
        return true;
      }
      case "S+":
        await (await this.#open()).reply(rest);
        return true;
      case "S>":
        for (let i = 1; i <= count; i++) {
          const line = await (await this.#open()).line();
          if (!matches(line, text)) throw new Error(`wanted "${text}" (${i} of ${count}), got "${line}"`);
        }
        return true;
      default:
        return false;
    }
  }

  async #steer(word: string, rest: string): Promise<boolean> {
    switch (word) {
      case "ON":
        this.#listener = rest;
        return true;
      case "FROM":
        this.#from = rest;
        return true;
      case "OPEN":
        await this.#open();
        return true;
      case "BYTEWISE":
        (await this.#open()).bytewise = true;
        return true;
      case "C!":
        if (rest === "PLAIN-BYTES") await (await this.#open()).send(Buffer.from("this is no handshake\r\n"));
        else await (await this.#open()).upgrade();
        return true;
      case "PAUSE":
        await new Promise<void>((resolve) => setTimeout(resolve, Number(rest)));
        return true;
      case "SILENCE":
        await (await this.#open()).silence(Number(rest));
        return true;
      case "HALF-CLOSE":
        (await this.#open()).halfClose();
        return true;
      case "CLOSE":
        this.#line?.destroy();
        this.#line = null;
        return true;
      case "LOCK":
        this.#gateway.outgoing.locked.set(
          rest,
          reply(450, "7.1", "This sender is locked until 12:00 UTC, try again later"),
        );
        return true;
      case "LIMIT":
        this.#gateway.outgoing.maxRecipients = Number(rest);
        return true;
      case "CLOSED":
        await (await this.#open()).closed(rest);
        this.#line?.destroy();
        this.#line = null;
        return true;
      default:
        return false;
    }
  }

  #expect(word: string, rest: string): boolean {
    const { queue } = this.#gateway;
    const last = queue.accepted.at(-1);
    const same = (got: unknown, wanted: unknown) => {
      if (got !== wanted) throw new Error(`${word}: wanted ${String(wanted)}, got ${String(got)}`);
      return true;
    };
    const found = () => queue.accepted.some(({ message }) => small(message).includes(decodeText(rest)));
    switch (word) {
      case "QUEUE":
        return same(queue.accepted.length, Number(rest));
      case "BODY":
        return same(found(), true);
      case "NOBODY":
        return same(found(), false);
      case "RCPTS":
        return same(last?.recipients.length, Number(rest));
      case "FATES":
        return same(last?.recipients.map((one) => one.disposition.kind).join(","), rest);
      case "TOLD":
        return same(last?.recipients.flatMap(toldWords).join("; ") || "nobody", rest);
      case "SENDER":
        return same(last === undefined ? undefined : (last.envelope.reversePath ?? "<>"), rest);
      case "RECORDS":
        return same(queue.records.length, Number(rest));
      case "REFUSED":
        return same(statesOf(queue.records.at(-1), "refused"), Number(rest));
      case "PUTOFF":
        return same(statesOf(queue.records.at(-1), "put-off"), Number(rest));
      case "STORE":
        queue.failing = rest === "disk-full" || rest === "failed" ? rest : null;
        return true;
      case "S?":
        return same(this.#line?.lastReplyHas(rest), true);
      case "S!":
        return same(this.#line?.lastReplyHas(rest), false);
      default:
        return this.#expectOutgoing(word, rest);
    }
  }

  /** What concerns outgoing mail. */
  #expectOutgoing(word: string, rest: string): boolean {
    const { queue, outgoing, stopped } = this.#gateway;
    const last = queue.accepted.at(-1);
    const same = (got: unknown, wanted: unknown) => {
      if (got !== wanted) throw new Error(`${word}: wanted ${String(wanted)}, got ${String(got)}`);
      return true;
    };
    const first = last?.recipients[0]?.disposition;
    const delivery = first?.kind === "deliver" ? first : undefined;
    switch (word) {
      case "SIGNED": {
        const sign = delivery?.sign;
        return same(sign === undefined ? "no" : `${sign.domain} ${sign.selector}`, rest);
      }
      case "REMOVED":
        return same(
          delivery?.edits.flatMap((edit) => (edit.kind === "remove" ? [edit.name] : [])).join(","),
          rest,
        );
      case "WAY":
        return same(delivery?.destination.key, rest);
      case "ARCHIVED":
        return same(
          last?.archive === undefined ? "no" : `${last.archive.domain} ${last.archive.sender}`,
          rest,
        );
      case "GRANT": {
        const grant = last?.record.recipients[0]?.grant;
        return same(grant === undefined || grant === null ? "none" : Object.values(grant).join(" "), rest);
      }
      case "FACT": {
        const [fact, ...value] = rest.split(" ");
        const record = queue.records.at(-1) ?? last?.record;
        const found = record?.findings.find((finding) => finding.fact === fact);
        return same(found === undefined ? "absent" : String(found.value), value.join(" "));
      }
      case "STOPPED":
        return same(
          stopped
            .map((one) => `${one.kind} ${one.quarantined ? "kept" : "gone"} ${one.sender} ${one.identity}`)
            .join(", "),
          rest,
        );
      case "SETTLED":
        return same(outgoing.settled.length, Number(rest));
      case "CONNECTIONS":
        return same(outgoing.connections.size, Number(rest));
      case "CORRESPONDENTS":
        return same(outgoing.correspondents.join(", "), rest);
      default:
        return false;
    }
  }
}
