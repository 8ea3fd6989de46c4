// The gateway as the console sees it, in memory, over sample data. Settings are the real ones with a store that forgets.
import type { ConsoleServices, MessageView } from "../../src/console/services.ts";
import type { Clock } from "../../src/observe/clock.ts";
import { silentLog } from "../../src/observe/log.ts";
import { hashPassword } from "../../src/policy/password-hash.ts";
import { createSettings } from "../../src/policy/run-settings.ts";
import type { Settings } from "../../src/policy/settings.ts";
import type { LoginTrace } from "../../src/session/login-book.ts";
import type { Account, Accounts, AuditEntry, TokenLine } from "../../src/store/accounts.ts";
import { fakeMessageLog, fakeQuarantine, fakeQueue, quarantineItems, queueEntries } from "./fake-mail.ts";
import {
  type FakeOutgoingState,
  fakeBans,
  fakeDkim,
  fakeLinks,
  fakeNotices,
  fakeOutgoing,
  fakeOutgoingState,
} from "./fake-outgoing.ts";
import { HOSTILE_NAME, RTL_SUBJECT, SCRIPT_SUBJECT } from "./mail-scenarios.ts";
import { NOW, sampleMessages } from "./sample-mail.ts";

export const ADMIN_PASSWORD = "violet harbour teaspoon 93";

/** What the fakes remember, for tests to look at. */
export interface FakeGateway {
  readonly services: ConsoleServices;
  readonly clock: Clock & { set(ms: number): void };
  readonly auditEntries: AuditEntry[];
  readonly released: string[];
  readonly deleted: string[];
  /** `retry ID`, `hold ID`, `drop ID`, `send ADDRESS SUBJECT`. */
  readonly queueActions: string[];
  /** Identities, locks, DKIM keys, one-time links, notices. */
  readonly outgoing: FakeOutgoingState;
  readonly accounts: (Account & { passwordHash: string })[];
  readonly sessions: Map<string, { readonly accountId: string; readonly expiresAt: number }>;
  readonly tokens: Map<string, TokenLine & { readonly accountId: string }>;
  setupCode: string | null;
}

const fakeLogins: readonly LoginTrace[] = [
  {
    network: "203.0.113.7/32",
    taken: 12,
    takenAt: Date.UTC(2026, 10, 21, 9),
    refused: 3,
    refusedAt: Date.UTC(2026, 10, 21, 14),
    cause: "wrong password",
  },
];

/** All that a refused request must not have changed. */
export function stateOf(gateway: FakeGateway): string {
  const { policy } = gateway.services.settings.current();
  const { released, deleted, queueActions, outgoing, accounts, sessions, tokens } = gateway;
  return JSON.stringify({
    policy,
    released,
    deleted,
    queueActions,
    outgoing: { ...outgoing, links: [...outgoing.links] },
    accounts,
    sessions: [...sessions],
    tokens: [...tokens],
  });
}

function fakeClock(): FakeGateway["clock"] {
  let now = NOW;
  return {
    now: () => now,
    after: () => () => undefined,
    set(ms) {
      now = ms;
    },
  };
}

/** Its passwords are hashed once for all gateways of a process: a hash is made to cost time. */
const SAMPLE_POLICY = {
  networks: { trusted: ["10.0.0.0/8", "192.0.2.25"] },
  domain: [
    {
      name: "example.test",
      routes: [
        { host: "mail.example.test", port: 25, tls: "required" },
        { host: "10.0.0.6", priority: 20 },
      ],
    },
    {
      name: "shop.example.test",
      routes: [{ host: "10.0.0.7", port: 2525 }],
      recipients: { verify: "list", list: ["info@shop.example.test"] },
      rules: ["virus", "dmarc", "subject-marks"],
    },
    { name: "old.example.test", enabled: false },
  ],
  sender: [
    {
      kind: "user",
      login: "carol@example.test",
      domain: "example.test",
      password_hash: await hashPassword("marble-otter-kettle-71"),
      send_as: ["info@example.test"],
    },
    { kind: "user", login: "heidi@example.test", domain: "example.test", verify: "mail-server" },
    {
      kind: "ip",
      range: "192.0.2.64/28",
      domain: "example.test",
      identify_by: { header: "X-Client-ID", remove: true },
    },
    {
      kind: "user",
      login: "orders@shop.example.test",
      domain: "shop.example.test",
      password_hash: await hashPassword("lantern-gravel-tulip-58"),
      limits: { per_hour: 60 },
    },
  ],
  rule: [
    {
      name: "no-ads",
      description: "Nobody here reads these",
      mode: "enforce",
      when: 'sender.domain == "ads.example.org"',
      action: "discard",
    },
    {
      name: "large-from-strangers",
      description: "How much large mail comes from people who cannot prove who they are?",
      mode: "observe",
      when: "message.size > 10 MB and not spf.aligned and not dkim.aligned",
      action: "quarantine",
    },
    { name: "subject-marks", mode: "observe" },
  ],
  hook: [{ name: "clamd", kind: "clamd", address: "127.0.0.1:3310" }],
  delivery: { smarthost: { host: "smtp.provider.example.org", user: "gate", password: "never-shown-9531" } },
} as const;

function fakeSettings(initial: unknown = SAMPLE_POLICY): Promise<Settings> {
  const store = { load: async () => [], save: async () => undefined, rewrite: async () => undefined };
  return createSettings({ store, clock: fakeClock(), log: silentLog, initial });
}

function fakeAccounts(
  gateway: Pick<FakeGateway, "accounts" | "sessions" | "tokens" | "auditEntries">,
): Accounts {
  const { accounts, sessions, tokens, auditEntries } = gateway;
  const publicPart = ({ id, login, role, domains }: Account): Account => ({ id, login, role, domains });
  const endSessions = (id: string) => {
    for (const [hash, session] of sessions) if (session.accountId === id) sessions.delete(hash);
  };
  const isLastAdministrator = (id: string) =>
    accounts.filter((one) => one.role === "administrator").every((one) => one.id === id) &&
    accounts.some((one) => one.id === id && one.role === "administrator");
  return {
    count: async () => accounts.length,
    byLogin: async (login) => accounts.find((one) => one.login.toLowerCase() === login.toLowerCase()) ?? null,
    create: async (account) => {
      const made = { ...account, id: `account-${accounts.length + 1}` };
      accounts.push(made);
      return publicPart(made);
    },
    setPassword: async (id, passwordHash, proven) => {
      const account = accounts.find((one) => one.id === id);
      if (account === undefined || account.passwordHash !== (proven ?? account.passwordHash)) return false;
      account.passwordHash = passwordHash;
      endSessions(id);
      return true;
    },
    list: async () =>
      accounts.map((one) => ({
        ...publicPart(one),
        createdAt: NOW - 86_400_000,
        sessions: [...sessions.values()].filter(({ accountId }) => accountId === one.id).length,
      })),
    byId: async (id) => {
      const found = accounts.find((one) => one.id === id);
      return found === undefined ? null : publicPart(found);
    },
    change: async (id, { role, domains }) => {
      const i = accounts.findIndex((one) => one.id === id);
      const account = accounts[i];
      if (account === undefined) return "gone";
      if (role !== "administrator" && isLastAdministrator(id)) return "last-administrator";
      accounts[i] = { ...account, role, domains };
      endSessions(id);
      return "done";
    },
    remove: async (id) => {
      const i = accounts.findIndex((one) => one.id === id);
      if (i < 0) return "gone";
      if (isLastAdministrator(id)) return "last-administrator";
      accounts.splice(i, 1);
      endSessions(id);
      return "done";
    },
    createSession: async ({ tokenHash, accountId, expiresAt, proven }) => {
      if (!accounts.some(({ id, passwordHash }) => id === accountId && passwordHash === proven)) return false;
      sessions.set(tokenHash, { accountId, expiresAt });
      return true;
    },
    session: async (tokenHash, now) => {
      const session = sessions.get(tokenHash);
      const account = accounts.find((one) => one.id === session?.accountId);
      return session === undefined || account === undefined || session.expiresAt <= now
        ? null
        : publicPart(account);
    },
    endSession: async (tokenHash) => {
      sessions.delete(tokenHash);
    },
    createToken: async ({ tokenHash, ...token }) => {
      tokens.set(tokenHash, token);
    },
    token: async (tokenHash) => {
      const token = tokens.get(tokenHash);
      const role = accounts.find(({ id }) => id === token?.accountId)?.role;
      return role === "administrator" ? (token ?? null) : null;
    },
    tokens: async () => [...tokens.values()],
    removeToken: async (name) => {
      const found = [...tokens].find(([, token]) => token.name === name);
      return found === undefined ? false : tokens.delete(found[0]);
    },
    audit: async (entry) => {
      auditEntries.push(entry);
    },
    auditFailedLogIn: async (entry) => {
      auditEntries.push(entry);
    },
    auditLog: async ({ limit, before }) =>
      auditEntries
        .map((entry, id) => ({ ...entry, id }))
        .filter(
          ({ at, id }) => before === undefined || at < before.at || (at === before.at && id < before.id),
        )
        .toReversed()
        .slice(0, limit),
  };
}

const VIEW: MessageView = {
  headers: [
    { name: "Subject", value: SCRIPT_SUBJECT },
    { name: "From", value: HOSTILE_NAME },
    { name: "X-Odd", value: RTL_SUBJECT },
  ],
  text: "Dear customer,\n\n<script>alert('text')</script>\nplease find the invoice attached.\n",
  html: "<p>Dear customer,</p><p>please find the <b>invoice</b> attached.</p>",
  attachments: [{ name: '<b>invoice</b>".exe', type: "application/x-msdownload", size: 48_211 }],
  problem: null,
};

const AUDIT: readonly Omit<AuditEntry, "at" | "ip">[] = [
  {
    actor: "admin@example.test",
    via: "console",
    action: "log-in",
    subject: "admin@example.test",
    detail: "",
  },
  {
    actor: "command line",
    via: "cli",
    action: "change domain",
    subject: "example.test",
    detail: "routes[0].tls opportunistic → required",
  },
  {
    actor: "api token monitoring",
    via: "api",
    action: "queue retry",
    subject: "everything",
    detail: "3 recipients",
  },
  {
    actor: "<script>alert(3)</script>",
    via: "console",
    action: "log-in failed",
    subject: "<script>alert(3)</script>",
    detail: "",
  },
];

/** A gateway with two weeks of life: every kind of mail, domain, sender and rule. `fresh`: nobody has set it up. */
export async function fakeGateway(options: { readonly fresh?: boolean } = {}): Promise<FakeGateway> {
  const messages = options.fresh === true ? [] : sampleMessages();
  const clock = fakeClock();
  const remembered = {
    clock,
    auditEntries:
      options.fresh === true
        ? []
        : AUDIT.map((entry, i) => ({ ...entry, at: NOW - (4 - i) * 620_000, ip: "192.0.2.10" })),
    released: [] as string[],
    deleted: [] as string[],
    queueActions: [] as string[],
    outgoing: fakeOutgoingState(options.fresh === true),
    accounts: [] as FakeGateway["accounts"],
    sessions: new Map(),
    tokens: new Map(),
    setupCode: options.fresh === true ? "k7mp-2xq9-vv4d" : null,
  };
  if (options.fresh !== true) {
    const passwordHash = await adminHash();
    remembered.accounts.push(
      { id: "account-1", login: "admin@example.test", role: "administrator", domains: [], passwordHash },
      {
        id: "account-2",
        login: "keeper@shop.example.test",
        role: "domain-administrator",
        domains: ["shop.example.test"],
        passwordHash,
      },
      { id: "account-3", login: "person@example.test", role: "user", domains: [], passwordHash },
    );
  }
  const settings = await fakeSettings(options.fresh === true ? {} : SAMPLE_POLICY);
  const gateway: FakeGateway = {
    ...remembered,
    services: {
      hostname: "gate.example.test",
      version: "0.1.0",
      clock,
      log: silentLog,
      settings,
      queue: fakeQueue(queueEntries(messages), remembered.queueActions),
      quarantine: fakeQuarantine(quarantineItems(messages), remembered),
      messageLog:
        options.fresh === true ? { ...fakeMessageLog([]), volume: async () => [] } : fakeMessageLog(messages),
      accounts: fakeAccounts(remembered),
      outgoing: fakeOutgoing(remembered.outgoing, { now: clock.now, snapshot: () => settings.current() }),
      bans: fakeBans(remembered.outgoing),
      logins: {
        of: () => fakeLogins,
        refused: () => fakeLogins.map((one) => ({ ...one, login: "carol@example.test", exists: true })),
      },
      dkim: fakeDkim(remembered.outgoing, clock.now),
      links: fakeLinks(remembered.outgoing, clock.now),
      notices: fakeNotices(remembered.outgoing),
      consoleUrl: () => "https://gate.example.test:8443",
      listeners: () =>
        options.fresh === true
          ? []
          : [
              { name: "mx", listen: "0.0.0.0:25", state: "listening", words: "", connections: 38 },
              { name: "submission", listen: "0.0.0.0:587", state: "listening", words: "", connections: 12 },
              { name: "submissions", listen: "0.0.0.0:465", state: "listening", words: "", connections: 5 },
              {
                name: "submission-2525",
                listen: "0.0.0.0:2525",
                state: "failed",
                words:
                  "0.0.0.0:2525 cannot be opened: another program has the port. Stop it, or choose another port.",
                connections: 0,
              },
            ],
      alarms: () => [],
      setupCode: () => (gateway.accounts.length === 0 ? gateway.setupCode : null),
      view: async () => VIEW,
      figures: () => ({ startedAt: NOW - 9.3 * 86_400_000, connections: 55, memoryBytes: 148_300_000 }),
    },
  };
  return gateway;
}

let hashOnce: Promise<string> | null = null;

function adminHash(): Promise<string> {
  hashOnce ??= hashPassword(ADMIN_PASSWORD);
  return hashOnce;
}
