// XCLIENT: a proxy we know tells who the client is (Postfix XCLIENT_README). Only for hosts named in `proxy_from`.
import { loginOf } from "../policy/sender-index.ts";
import { type Answer, answer } from "./answer.ts";
import { inNetworks, refuseClient } from "./connect.ts";
import { normalIp } from "./ip-address.ts";
import { decodeXtext } from "./path.ts";
import { UNREAD } from "./prove-login.ts";
import { refuseBanned } from "./refuse-banned.ts";
import type { SessionServices } from "./services.ts";
import { forgetClient, type Session } from "./session.ts";

const ATTRIBUTES = new Set(["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"]);
const UNAVAILABLE = new Set(["[UNAVAILABLE]", "[TEMPUNAVAIL]"]);
const HOST_NAME = /^[A-Za-z0-9._-]{1,253}$/;

/** Takes the attributes all or none; the dialogue then begins anew with a greeting. */
export function xclient(session: Session, argument: string, services: SessionServices): Answer {
  if (!session.mayXclient) return answer(550, "7.1", "XCLIENT is not for you");
  if (session.transaction !== null) return answer(503, "5.1", "Not during a mail transaction");
  const attributes = parseAttributes(argument);
  if (attributes === null) return answer(501, "5.4", "Syntax: XCLIENT attribute=value");
  const address = attributes.get("ADDR");
  const ip = typeof address === "string" ? normalIp(address.replace(/^IPv6:/i, "")) : null;
  if (ip === null && typeof address === "string") return answer(501, "5.4", "ADDR is not an IP address");
  const name = attributes.get("NAME") ?? null;
  if (name !== null && !HOST_NAME.test(name)) return answer(501, "5.4", "NAME is not a host name");
  const port = Number(attributes.get("PORT") ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65535) return answer(501, "5.4", "PORT is not a port");
  const login = attributes.get("LOGIN") ?? null;
  const sender = login === null ? null : services.snapshot().userSender(login);
  if (login !== null && sender === null && services.snapshot().isUnreadLogin(login))
    return answer(451, "3.5", UNREAD.text, `XCLIENT LOGIN=${login}: ${UNREAD.cause}`);
  if (login !== null && sender?.enabled !== true)
    return answer(550, "7.1", "No such login", `XCLIENT LOGIN=${login}`);
  const { client, listener } = session;
  forgetClient(session, {
    ...client,
    ip: ip ?? client.ip,
    port: attributes.has("PORT") ? port : client.port,
    hostname: attributes.has("NAME") || ip !== null ? name : client.hostname,
  });
  if (sender !== null) session.client = { ...session.client, login: loginOf(sender) ?? login };
  const refusal = refuseClient(session) ?? refuseBanned(session, services);
  if (refusal !== null) return refusal;
  // The dialogue now belongs to the client that was named, which may not name another.
  if (ip !== null) session.mayXclient = inNetworks(listener.proxy_from, ip);
  return { ...answer(220, null, ""), next: "greet" };
}

function parseAttributes(argument: string): ReadonlyMap<string, string | null> | null {
  if (argument === "") return null;
  const attributes = new Map<string, string | null>();
  for (const part of argument.split(/ +/)) {
    const equals = part.indexOf("=");
    const key = part.slice(0, Math.max(0, equals)).toUpperCase();
    const value = decodeXtext(part.slice(equals + 1));
    if (!ATTRIBUTES.has(key) || attributes.has(key) || value === null) return null;
    attributes.set(key, value === "" || UNAVAILABLE.has(value.toUpperCase()) ? null : value);
  }
  return attributes;
}
