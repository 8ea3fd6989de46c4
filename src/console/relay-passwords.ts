// Relay passwords that senders set themselves (requirement O13): who may, the link that is mailed, and the change. No pages, no markup.
// Nothing here tells whether an address exists: what follows for an address happens after the answer.
import { createHash } from "node:crypto";
import { addressKey, parseAddress } from "../message/address.ts";
import { judgePassword } from "../policy/password-strength.ts";
import { itemKey } from "../policy/policy-document.ts";
import type { SenderSettings } from "../policy/schema.ts";
import type { Actor, PolicyProblem, WantedInput } from "../policy/settings.ts";
import { clientKey } from "./security/attempt-throttle.ts";
import { createRequestLimit } from "./security/request-limit.ts";
import { createWorkChallenge, type WorkChallenge } from "./security/work-challenge.ts";
import type { ConsoleServices } from "./services.ts";

/** `taken`: the only answer once the challenge is solved, whatever the address is. */
export type AskAnswer = "taken" | "unsolved" | "expired" | "too many";

export type LinkAnswer =
  | { readonly state: "valid"; readonly login: string }
  | { readonly state: "used" | "expired" | "unknown" };

export type ChangeAnswer =
  | { readonly state: "done" }
  /** Nothing was changed and the link holds: `words` say what is wrong with the password. */
  | { readonly state: "refused"; readonly words: string }
  | { readonly state: "used" | "expired" | "unknown" };

export interface RelayPasswords {
  /** False: an administrator switched it off. */
  isOn(): boolean;
  readonly challenge: Pick<WorkChallenge, "create">;
  /** Takes the wish for a link. The mail, if there is one to send, is written afterwards. */
  ask(wish: {
    readonly address: string;
    readonly payload: string;
    readonly clientIp: string;
  }): Promise<AskAnswer>;
  /** Looks at a link without using it. */
  look(token: string): Promise<LinkAnswer>;
  /** Uses the link and sets the password; a password that is refused leaves the link as it is. */
  change(wish: {
    readonly token: string;
    readonly password: string;
    readonly clientIp: string;
  }): Promise<ChangeAnswer>;
}

const HOUR_MS = 3_600_000;
const LINK_VALID_MS = 30 * 60_000;
/**
 * Mails to one address while a link is valid: whoever hears of no further one, because strangers have asked for so many, has one that
 * works among the mails.
 */
const LINKS_AT_ONCE = 3;
/** Wishes that are heard from one client network: a company has one address outside. */
const WISHES_PER_HOUR = 30;
/** Solutions checked for one client network; each costs 2 ms. */
const CHECKS_PER_HOUR = 200;
const MAX_KEYS = 20_000;

type FoundLink =
  | { readonly state: "valid"; readonly login: string; readonly sender: SenderSettings }
  | Exclude<LinkAnswer, { readonly state: "valid" }>;

/** A password kept for CRAM-MD5 changes along: the old one must not go on working there. */
function withPassword(sender: SenderSettings, password: string): object {
  return { ...sender, password, ...(sender.cram_password === undefined ? {} : { cram_password: password }) };
}

/** Changes with the password, so that a link is void once the password is another one; tells nothing of the hash. */
function passwordMark(sender: SenderSettings): string {
  return createHash("sha256")
    .update(sender.password_hash ?? "")
    .digest("base64url")
    .slice(0, 22);
}

function wordsOf(problems: readonly PolicyProblem[]): string {
  const password = problems.find((one) => one.path.endsWith("password"));
  return password?.message ?? problems.map((one) => `${one.path} ${one.message}`).join("; ");
}

/** Makes the relay-password links of one console. */
export function createRelayPasswords(services: ConsoleServices): RelayPasswords {
  const { clock, settings, links, log } = services;
  const challenge = createWorkChallenge(clock);
  const hourly = (most: number) => createRequestLimit(clock, { most, windowMs: HOUR_MS, maxKeys: MAX_KEYS });
  const checks = hourly(CHECKS_PER_HOUR);
  const wishes = hourly(WISHES_PER_HOUR);
  const mails = createRequestLimit(clock, {
    most: LINKS_AT_ONCE,
    windowMs: LINK_VALID_MS,
    maxKeys: MAX_KEYS,
  });

  /** The sender of that login when it may set its own password here. */
  function entitled(login: string): SenderSettings | null {
    const sender = settings.current().userSender(login);
    if (sender === null || sender.kind !== "user" || !sender.enabled) return null;
    return sender.verify === "mail-server" ? null : sender;
  }

  async function sendLink(sender: SenderSettings, login: string, clientIp: string): Promise<void> {
    const subject = { sender: itemKey("sender", sender), mark: passwordMark(sender) };
    const token = await links.create({ kind: "relay-password", subject, validMs: LINK_VALID_MS });
    await services.notices.passwordLink(login, `${services.consoleUrl()}/smtp-password/${token}`);
    await services.accounts.audit({
      at: clock.now(),
      actor: "self-service",
      via: "console",
      ip: clientIp === "" ? null : clientIp,
      action: "password link sent",
      subject: login,
      detail: "",
    });
  }

  function consider(address: string, clientIp: string): void {
    const parsed = parseAddress(address);
    const sender = parsed.ok ? entitled(parsed.value) : null;
    const login = sender?.login;
    if (sender === null || login === undefined || !mails.take(addressKey(login))) return;
    // After the answer has left: whether there is something to do must not show in its time.
    setImmediate(() => {
      sendLink(sender, login, clientIp).catch((error: unknown) => {
        log.error({ err: error, login }, "the link for a new relay password could not be sent");
      });
    });
  }

  async function find(token: string): Promise<FoundLink> {
    const { state, subject } = await links.look("relay-password", token);
    if (state !== "valid") return { state };
    const sender = entitled(subject?.sender ?? "");
    const login = sender?.login;
    if (sender === null || login === undefined) return { state: "unknown" };
    return passwordMark(sender) === subject?.mark ? { state, login, sender } : { state: "used" };
  }

  return {
    challenge,
    isOn: () => settings.current().policy.settings.self_service,
    async ask({ address, payload, clientIp }) {
      const client = clientKey(clientIp);
      if (!checks.take(client)) return "too many";
      const solved = await challenge.check(payload);
      if (solved === "busy") return "too many";
      if (solved === "expired" || solved === "spent") return "expired";
      if (solved === "wrong") return "unsolved";
      // Counted whatever the address is, so that saying so tells nothing of it.
      if (!wishes.take(client)) return "too many";
      consider(address, clientIp);
      return "taken";
    },
    async look(token) {
      const found = await find(token);
      return found.state === "valid" ? { state: "valid", login: found.login } : { state: found.state };
    },
    async change({ token, password, clientIp }) {
      const found = await find(token);
      if (found.state !== "valid") return { state: found.state };
      const { sender } = found;
      const strength = judgePassword(password, [found.login, services.hostname]);
      if (!strength.ok) return { state: "refused", words: `This password ${strength.words}.` };
      // Everything that could be refused is asked before the link is used up.
      const plan = await settings.plan({ sender: [withPassword(sender, password)] }, { prune: false });
      if (!plan.ok) return { state: "refused", words: `This password ${wordsOf(plan.problems)}.` };
      const used = await links.use("relay-password", token);
      if (used.state !== "valid") return { state: used.state };
      const actor: Actor = {
        name: "self-service",
        via: "console",
        ip: clientIp === "" ? null : clientIp,
      };
      // As it is then: what an administrator changed meanwhile stays, and a sender removed or switched off does not come back.
      let gone = false;
      const withNewPassword = (): WantedInput => {
        const now = entitled(found.login);
        gone = now === null;
        return now === null ? { ok: false, problems: [] } : { ok: true, input: withPassword(now, password) };
      };
      const item = { section: "sender", key: itemKey("sender", sender) } as const;
      const saved = await settings.change(item, withNewPassword, actor);
      if (gone) return { state: "unknown" };
      return saved.ok ? { state: "done" } : { state: "refused", words: wordsOf(saved.problems) };
    },
  };
}
