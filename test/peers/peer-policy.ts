// The policy the peer tests apply: an inbound domain with a real server behind it, submission both ways, a smart host.

export const LOGIN = { user: "alice@example.test", password: "correct-horse-7-battery" } as const;

/** The loopback address the customer's mail server connects from; the only trusted one. */
export const MAIL_SERVER_ADDRESS = "127.0.0.2";

export interface PeerPorts {
  readonly mx: number;
  readonly submission: number;
  readonly submissions: number;
  /** The customer's mail server. */
  readonly server: number;
  /** Where everything for the outside goes. */
  readonly outside: number;
}

/** As a policy file. `more` is put at its end. */
export function peerPolicy(ports: PeerPorts, more = ""): string {
  return `
[[listener]]
name = "mx"
listen = "127.0.0.1:${ports.mx}"
tls = "starttls"
auth = "off"
relay = ["trusted-networks"]

[[listener]]
name = "submission"
listen = "127.0.0.1:${ports.submission}"
tls = "starttls-required"
auth = "required"
relay = ["authenticated"]

[[listener]]
name = "submissions"
listen = "127.0.0.1:${ports.submissions}"
tls = "implicit"
auth = "required"
relay = ["authenticated"]

[networks]
trusted = ["${MAIL_SERVER_ADDRESS}/32"]

[[domain]]
name = "example.test"
routes = [{ host = "127.0.0.1", port = ${ports.server}, priority = 10, tls = "opportunistic" }]
recipients = { verify = "callout" }

[[sender]]
kind = "user"
login = "${LOGIN.user}"
password = "${LOGIN.password}"
domain = "example.test"
identify_by = "authenticated-user"

[delivery]
smarthost = { host = "127.0.0.1", port = ${ports.outside}, tls = "none" }
retry = ["1s", "2s", "5s"]
${more}`;
}
