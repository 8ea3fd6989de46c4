// For the tests of cut-through: mail from outside for a server of our own, and a server that answers when the test says so.
import type { Attempt } from "../../src/delivery/attempt.ts";
import type { Outcome } from "../../src/delivery/outcome.ts";
import type { Destination } from "../../src/delivery/route.ts";
import { type LargeBody, MAX_BODY_IN_MEMORY } from "../../src/message/body.ts";
import type { Acceptance } from "../../src/queue/queue.ts";
import { type Bench, mail, type Script } from "./queue-kit.ts";

export const WAIT_MS = 8000;
export const OWN: Destination = {
  kind: "routes",
  key: "routes:example.org",
  routes: [{ host: "192.0.2.7", port: 25, priority: 10, tls: "none" }],
};

export function inbound(id: string, now: number, to: readonly string[] = ["bob@example.org"]): Acceptance {
  const made = mail({
    id,
    to,
    now,
    mayBounce: false,
    disposition: () => ({ kind: "deliver", destination: OWN, edits: [] }),
  });
  const recipients = made.record.recipients.map((one) => ({ ...one, direction: "inbound" as const }));
  return { ...made, record: { ...made.record, recipients } };
}

/** A body that came into a file. */
export async function largeBody({ spool }: Bench): Promise<LargeBody> {
  const head = Buffer.from("Subject: Plans\r\n\r\n");
  const file = spool.incoming();
  file.write(Buffer.alloc(MAX_BODY_IN_MEMORY, "x"));
  const rest = await file.finish();
  return { head, rest, length: head.length + rest.bytes };
}

/** An answer that comes when the test says so. */
export class Later {
  #answer: (outcomes: readonly Outcome[]) => void = () => {};
  attempt: Attempt | null = null;
  readonly script: Script = (attempt) => {
    this.attempt = attempt;
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  };
  async say(script: Script): Promise<void> {
    if (this.attempt === null) throw new Error("nothing was attempted");
    this.#answer(await script(this.attempt, 0));
  }
}
