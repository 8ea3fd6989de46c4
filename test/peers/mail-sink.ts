// A mail server in the test process that keeps every message it is given: the outside world, or a customer's server.
import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";

export interface SunkMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** As it came over the wire, dot-stuffing removed. */
  readonly text: string;
  readonly login: string | null;
}

export interface MailSink {
  readonly port: number;
  readonly messages: readonly SunkMessage[];
  close(): Promise<void>;
}

export interface SinkOptions {
  readonly port?: number;
  /** Called for each message; then they are not kept in `messages`. */
  readonly onMessage?: (message: SunkMessage) => void;
  /** Recipients it does not know: answered 550 at RCPT. */
  readonly unknown?: readonly string[];
  /** What it says instead of 250 to a recipient, or to a message after the dot; null: it takes it. */
  readonly refuseRecipient?: (address: string) => SinkRefusal | null;
  readonly refuseMessage?: (message: SunkMessage) => SinkRefusal | null;
  /** It offers neither 8BITMIME nor SMTPUTF8. */
  readonly sevenBit?: boolean;
}

export interface SinkRefusal {
  readonly code: number;
  /** Without the code: `5.1.1 no such user`. */
  readonly text: string;
}

function refusalError({ code, text }: SinkRefusal): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

/** Starts it on a loopback port. It offers no TLS and takes any recipient but those named unknown. */
export async function startMailSink(options: SinkOptions = {}): Promise<MailSink> {
  const messages: SunkMessage[] = [];
  const take = options.onMessage ?? ((message: SunkMessage) => messages.push(message));
  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    disabledCommands: ["STARTTLS"],
    disableReverseLookup: true,
    hide8BITMIME: options.sevenBit === true,
    hideSMTPUTF8: options.sevenBit === true,
    onAuth: (auth, _session, done) => done(null, { user: auth.username ?? "" }),
    onRcptTo({ address }, _session, done) {
      const unknown = { code: 550, text: `5.1.1 <${address}>: nobody of that name` };
      const refusal =
        options.unknown?.includes(address) === true ? unknown : options.refuseRecipient?.(address);
      done(refusal ? refusalError(refusal) : null);
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        const message = {
          sender: mailFrom === false ? "" : mailFrom.address,
          recipients: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString("latin1"),
          login: session.user === undefined ? null : String(session.user),
        };
        const refusal = options.refuseMessage?.(message) ?? null;
        if (refusal !== null) return done(refusalError(refusal));
        take(message);
        done(null, "kept");
      });
    },
  });
  // A client that is killed resets its connections; that is part of the tests.
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", () => resolve()));
  return {
    port: (server.server.address() as AddressInfo).port,
    messages,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
