// One sender of every kind, how each sends, and the policy they are in. For tests of who may send.
import type { LockKey } from "../../src/outgoing/outgoing.ts";
import { CHEAP_HASH } from "../policy/policy-fixtures.ts";

const LISTENER = {
  name: "mx",
  listen: "127.0.0.1:0",
  tls: "none",
  auth: "optional",
  auth_without_tls: true,
  relay: ["trusted-networks", "authenticated"],
  greeting_delay: 0,
};
const OTHER = { name: "other.test", rules: [] };
export const NETWORK = "127.0.0.30/32";
const RANGE = "127.0.0.20/32";
const STOP = {
  name: "stop-now",
  when: 'recipient.address starts with "stop"',
  action: "reject",
  lock_identity: true,
};

/** Whoever sends: how, as whom, and under which key it counts. */
export interface Kind {
  readonly name: "log-in" | "domain log-in" | "address range" | "network" | "forwards" | "range forwards";
  readonly key: LockKey;
  readonly ip: string;
  readonly login?: string;
  readonly from: string;
}

export const KINDS: readonly Kind[] = [
  {
    name: "log-in",
    key: { sender: "anna@a.test", identity: "anna@a.test" },
    ip: "127.0.0.10",
    login: "anna@a.test",
    from: "anna@a.test",
  },
  {
    name: "domain log-in",
    key: { sender: "@a.test", identity: "a.test" },
    ip: "127.0.0.10",
    login: "a.test",
    from: "somebody@a.test",
  },
  {
    name: "address range",
    key: { sender: RANGE, identity: "bob@a.test" },
    ip: "127.0.0.20",
    from: "bob@a.test",
  },
  {
    name: "network",
    key: { sender: `a.test via ${NETWORK}`, identity: "carl@a.test" },
    ip: "127.0.0.30",
    from: "carl@a.test",
  },
  {
    name: "forwards",
    key: { sender: NETWORK, identity: "(forwards of 127.0.0.30)" },
    ip: "127.0.0.30",
    from: "x@elsewhere.example",
  },
  {
    name: "range forwards",
    key: { sender: RANGE, identity: "(forwards of 127.0.0.20)" },
    ip: "127.0.0.20",
    from: "x@elsewhere.example",
  },
];

export interface Settings {
  domain?: object | null;
  user?: object | null;
  whole?: object | null;
  range?: object | null;
  networks?: object;
  listener?: object;
  more?: readonly object[];
}

/** The policy with every kind of sender, changed as asked; null: without that one. */
export function documentOf(settings: Settings = {}) {
  const own = (base: object, change: object | null | undefined) =>
    change === null ? [] : [{ ...base, ...change }];
  const login = { password_hash: CHEAP_HASH, domain: "a.test" };
  return {
    listener: [{ ...LISTENER, ...settings.listener }],
    networks: { trusted: [NETWORK], ...settings.networks },
    domain: [...own({ name: "a.test", rules: ["stop-now"] }, settings.domain), OTHER],
    sender: [
      ...own({ ...login, login: "anna@a.test" }, settings.user),
      ...own({ ...login, kind: "domain" }, settings.whole),
      ...own(
        { kind: "ip", range: RANGE, domain: "a.test", identify_by: "envelope-sender", forwards: "allow" },
        settings.range,
      ),
      ...(settings.more ?? []),
    ],
    rule: [STOP],
  };
}
