// All kinds of alarms there are, and what each says of this gateway. A kind that is not here cannot be raised.

/**
 * `unwell`: this gateway does not do its work, and another in its place would: /healthz answers 503, and a balancer may leave it.
 * `work`: a person has work, and this gateway is well. What one domain has set, one server behind it, one client or one message brings about
 * is never more than that: it would take all gateways behind a balancer out of service, one after the other.
 */
const ALARM_KINDS = {
  // What mail is kept in: it cannot be taken, moved on or remembered here.
  "spool.db": "unwell",
  "gatepost.db": "unwell",
  spool: "unwell",
  "disk-full": "unwell",
  "data-files": "unwell",
  storage: "unwell",
  "message-log": "unwell",
  housekeeping: "unwell",
  "outgoing-counts": "unwell",
  "lock-records": "unwell",
  // Mail is put off or not reached, whoever it is from.
  dns: "unwell",
  clamd: "unwell",
  listener: "unwell",
  // A fault of ours, and no attempt since then went well.
  delivery: "unwell",
  // A stored setting this version cannot read: what depends on it waits here, and not at a gateway of the version that wrote it.
  setting: "unwell",
  // Newcomers are turned away; a neighbour has places.
  connections: "unwell",
  // Nobody reads /healthz there either.
  metrics: "unwell",

  // The same where no mail waits for it: it is off, or what stands in for it is told.
  "setting aside": "work",
  // One secret that has to be given again; all else of the setting is in force.
  "secret of": "work",
  // One client has its share; all others are taken.
  "connections of one client": "work",
  // The certificate there was is used on.
  certificate: "work",
  // What is smaller is scanned; no other gateway before that scanner has more of it.
  "clamd size": "work",
  // A server behind, or what one domain has set.
  undeliverable: "work",
  "call-out": "work",
  loop: "work",
  "password-server": "work",
  "web hook of": "work",
  "short message gateway of": "work",
  // The DNS of one domain, or its key: mail of others leaves, and what cannot be signed waits in the queue.
  dkim: "work",
  "dkim key": "work",
  signing: "work",
  // As many locks are in force as are held: senders of ours did that.
  locks: "work",
  // So many in an hour that they are told together.
  "lock alerts of": "work",
  // Single messages that are here; a database or a disk that is behind it has an alarm of its own.
  settlement: "work",
  quarantine: "work",
  archive: "work",
  "lost-bodies": "work",
  "vault-bodies": "work",
  releases: "work",
  "message-log-event": "work",
  // The same of what the gateway writes itself.
  notices: "work",
  reports: "work",
  "mail of notices": "work",
} as const satisfies Readonly<Record<string, "unwell" | "work">>;

export type AlarmKind = keyof typeof ALARM_KINDS;

/** The kind, and what it is about behind it where there may be several: `listener mx`. */
export type AlarmName = AlarmKind | `${AlarmKind} ${string}`;

/** The longer first: `dkim key …` is no `dkim …`. */
const KINDS = Object.keys(ALARM_KINDS).sort((a, b) => b.length - a.length) as readonly AlarmKind[];

export function alarmKind(name: AlarmName): AlarmKind {
  // By its type one of them.
  return KINDS.find((kind) => name === kind || name.startsWith(`${kind} `)) as AlarmKind;
}

/** Does the alarm say that this gateway is not well? */
export function isUnwell(name: AlarmName): boolean {
  return ALARM_KINDS[alarmKind(name)] === "unwell";
}
