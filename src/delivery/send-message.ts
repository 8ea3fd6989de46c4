// Hands one message to an SMTP server, for the test message of a first run. Mail flow itself goes through the deliverer.
import SMTPConnection from "nodemailer/lib/smtp-connection";

/** Sends over a fresh connection; resolves to the server's reply to the message. Rejects with the server's words. */
export function sendMessage(options: {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  readonly to: string;
  readonly message: string;
}): Promise<string> {
  return new Promise((resolve, reject) => {
    const connection = new SMTPConnection({
      host: options.host,
      port: options.port,
      ignoreTLS: true,
      connectionTimeout: 10_000,
      greetingTimeout: 15_000,
      socketTimeout: 60_000,
    });
    connection.once("error", reject);
    connection.connect(() => {
      connection.send({ from: options.from, to: [options.to] }, options.message, (error, info) => {
        connection.quit();
        if (error) reject(error);
        else resolve(info?.response ?? "");
      });
    });
  });
}
