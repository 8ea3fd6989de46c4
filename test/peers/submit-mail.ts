// A mail program on the submission port: STARTTLS, a login, and messages as they are, octet for octet, over one connection.
import SMTPConnection from "nodemailer/lib/smtp-connection";

export interface Submission {
  /** Sends one message; resolves to the gateway's reply, also when it is a refusal. */
  send(mail: Uint8Array, recipients: readonly string[]): Promise<string>;
  close(): void;
}

/** Connects to a loopback port and logs in. Rejects when one of them fails. `from` is the login and the reverse-path. */
export async function openSubmission(
  port: number,
  { from, password }: { readonly from: string; readonly password: string },
): Promise<Submission> {
  const connection = new SMTPConnection({
    host: "127.0.0.1",
    port,
    requireTLS: true,
    tls: { rejectUnauthorized: false },
  });
  let onEnd = (_error: Error): void => {};
  connection.on("error", (error) => onEnd(error));
  await new Promise<void>((resolve, reject) => {
    onEnd = reject;
    connection.connect((error) => (error ? reject(error) : resolve()));
  });
  await new Promise<void>((resolve, reject) => {
    connection.login({ credentials: { user: from, pass: password } }, (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return {
    send: (mail, recipients) =>
      new Promise((resolve, reject) => {
        onEnd = reject;
        connection.send(
          { from, to: [...recipients], use8BitMime: true },
          Buffer.from(mail),
          (error, info) => {
            if (error === null || error === undefined) resolve(info?.response ?? "");
            else if ("response" in error && typeof error.response === "string") resolve(error.response);
            else reject(error);
          },
        );
      }),
    close: () => connection.close(),
  };
}
