// Mail of our own people: swaks, nodemailer and curl on the submission ports, and the customer's Postfix with us as smart host.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createTransport } from "nodemailer";
import { type MailSink, startMailSink } from "./mail-sink.ts";
import { LOGIN, MAIL_SERVER_ADDRESS, peerPolicy } from "./peer-policy.ts";
import { freePorts, havePrograms, runCommand, waitUntil } from "./run-command.ts";
import { type RunningGateway, runGateway } from "./run-gateway.ts";
import { type RunningPostfix, runPostfix } from "./run-postfix.ts";
import { runSwaks, testMessage } from "./run-swaks.ts";

const OUTSIDE = "friend@example.org";

describe.skipIf(!havePrograms("submission from real clients", ["postfix", "swaks", "curl"]))(
  "submission",
  () => {
    let gateway: RunningGateway;
    let postfix: RunningPostfix;
    let outside: MailSink;
    let ports: { readonly mx: number; readonly submission: number; readonly submissions: number };
    const closers: (() => Promise<unknown>)[] = [];

    beforeAll(async () => {
      const free = await freePorts("mx", "submission", "submissions", "server");
      ports = free;
      outside = await startMailSink();
      closers.push(() => outside.close());
      postfix = await runPostfix({
        port: free.server,
        domain: "example.test",
        users: ["alice"],
        smartHost: `127.0.0.1:${free.mx}`,
        bindAddress: MAIL_SERVER_ADDRESS,
      });
      closers.push(() => postfix.dispose());
      gateway = await runGateway({ policy: peerPolicy({ ...free, outside: outside.port }) });
      closers.push(() => gateway.dispose());
    }, 120_000);

    afterAll(async () => {
      for (const close of closers.reverse()) await close();
    }, 120_000);

    const message = (subject: string) => testMessage({ from: LOGIN.user, to: OUTSIDE, subject });
    const arrives = (subject: string) =>
      waitUntil(`"${subject}" reaches the outside`, () =>
        outside.messages.find(({ text }) => text.includes(subject)),
      );

    async function expectSubmitted(subject: string, listener: string): Promise<void> {
      const got = await arrives(subject);
      expect(got).toMatchObject({ sender: LOGIN.user, recipients: [OUTSIDE] });
      const { record } = await gateway.logged(
        subject,
        ({ record: { subject: logged }, states }) => logged === subject && states[0]?.state === "delivered",
      );
      expect(record.envelope.listener).toBe(listener);
      expect(record.recipients[0]).toMatchObject({
        direction: "outbound",
        grant: { by: "authenticated-sender" },
      });
    }

    for (const [listener, tls] of [
      ["submission", "starttls"],
      ["submissions", "implicit"],
    ] as const) {
      const port = () => ports[listener];

      test(`swaks on ${listener}`, async () => {
        const { subject, text } = message(`swaks ${listener}`);
        const sent = await runSwaks({
          port: port(),
          from: LOGIN.user,
          to: OUTSIDE,
          message: text,
          tls,
          login: LOGIN,
        });
        expect(sent.dialogue).toContain("235 2.7.0");
        expect(sent.accepted).toBe(true);
        await expectSubmitted(subject, listener);
      }, 120_000);

      test(`nodemailer on ${listener}`, async () => {
        const { subject, text } = message(`nodemailer ${listener}`);
        const transport = createTransport({
          host: "127.0.0.1",
          port: port(),
          secure: tls === "implicit",
          requireTLS: tls === "starttls",
          tls: { rejectUnauthorized: false },
          auth: { user: LOGIN.user, pass: LOGIN.password },
        });
        const info = await transport.sendMail({ envelope: { from: LOGIN.user, to: OUTSIDE }, raw: text });
        transport.close();
        expect(info.accepted).toEqual([OUTSIDE]);
        await expectSubmitted(subject, listener);
      }, 120_000);

      test(`curl on ${listener}`, async () => {
        const { subject, text } = message(`curl ${listener}`);
        const { code, err } = await runCommand(
          [
            ...[
              "curl",
              "-sS",
              "-k",
              "--url",
              `${tls === "implicit" ? "smtps" : "smtp"}://127.0.0.1:${port()}`,
              "--ssl-reqd",
            ],
            ...[
              "--user",
              `${LOGIN.user}:${LOGIN.password}`,
              "--mail-from",
              LOGIN.user,
              "--mail-rcpt",
              OUTSIDE,
            ],
            ...["--upload-file", "-", "--crlf"],
          ],
          { input: text },
        );
        expect(err).toBe("");
        expect(code).toBe(0);
        await expectSubmitted(subject, listener);
      }, 120_000);

      test(`a wrong password gets 535 on ${listener}`, async () => {
        const { text } = message("wrong password");
        const login = { user: LOGIN.user, password: "correct-horse-7-stapler" };
        const sent = await runSwaks({
          port: port(),
          from: LOGIN.user,
          to: OUTSIDE,
          message: text,
          tls,
          login,
        });
        expect(sent.accepted).toBe(false);
        expect(sent.replies.some((line) => line.startsWith("535 5.7.8"))).toBe(true);
      }, 120_000);
    }

    test("without a login nothing is taken", async () => {
      const { text } = message("no login");
      const sent = await runSwaks({
        port: ports.submission,
        from: LOGIN.user,
        to: OUTSIDE,
        message: text,
        tls: "starttls",
      });
      expect(sent.accepted).toBe(false);
      expect(sent.replies.some((line) => line.startsWith("530 5.7.0"))).toBe(true);
    }, 120_000);

    test("a login is not offered and not taken before TLS", async () => {
      const { text } = message("no TLS");
      const sent = await runSwaks({
        port: ports.submission,
        from: LOGIN.user,
        to: OUTSIDE,
        message: text,
        login: LOGIN,
      });
      expect(sent.accepted).toBe(false);
      expect(sent.dialogue).not.toContain("235");
      expect(sent.replies.some((line) => /^250[ -]AUTH/.test(line))).toBe(false);
    }, 120_000);

    test("a login cannot send as somebody else", async () => {
      const { text } = testMessage({ from: "boss@example.test", to: OUTSIDE, subject: "somebody else" });
      const sent = await runSwaks({
        port: ports.submission,
        from: "boss@example.test",
        to: OUTSIDE,
        message: text,
        tls: "starttls",
        login: LOGIN,
      });
      expect(sent.accepted).toBe(false);
      expect(sent.replies.some((line) => line.startsWith("553 5.7.1") || line.startsWith("550 5.7.1"))).toBe(
        true,
      );
    }, 120_000);

    test("the customer's Postfix sends to the outside through us", async () => {
      const { subject, text } = testMessage({
        from: "alice@example.test",
        to: OUTSIDE,
        subject: "smart host",
      });
      await postfix.submit({ from: "alice@example.test", to: OUTSIDE, text });
      const got = await arrives(subject);
      expect(got).toMatchObject({ sender: "alice@example.test", recipients: [OUTSIDE] });
      const { record } = await gateway.logged(
        "the smart host's message",
        (one) => one.record.subject === subject,
      );
      expect(record.recipients[0]).toMatchObject({ direction: "outbound", grant: { by: "trusted-network" } });
    }, 120_000);

    test("mail from a login to a colleague is internal and ends in Postfix", async () => {
      const { subject, text } = testMessage({
        from: LOGIN.user,
        to: "alice@example.test",
        subject: "internal",
      });
      const sent = await runSwaks({
        port: ports.submissions,
        from: LOGIN.user,
        to: "alice@example.test",
        message: text,
        tls: "implicit",
        login: LOGIN,
      });
      expect(sent.accepted).toBe(true);
      await waitUntil("it arrives", () => postfix.inbox("alice").some((one) => one.includes(subject)));
      const { record } = await gateway.logged(
        "the internal message",
        (one) => one.record.subject === subject,
      );
      expect(record.recipients[0]?.direction).toBe("internal");
    }, 120_000);
  },
);
