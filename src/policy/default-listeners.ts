// The listeners a gateway starts with (requirement L1).
import { type ListenerSettings, listenerSchema } from "./schema.ts";

/** 25 for the Internet and trusted networks; 587 and 2525 for submission with STARTTLS; 465 with implicit TLS. */
export const DEFAULT_LISTENERS: readonly ListenerSettings[] = [
  { name: "mx", listen: "0.0.0.0:25", tls: "starttls", auth: "off", relay: ["trusted-networks"] },
  {
    name: "submission",
    listen: "0.0.0.0:587",
    tls: "starttls-required",
    auth: "required",
    relay: ["authenticated"],
  },
  {
    name: "submission-2525",
    listen: "0.0.0.0:2525",
    tls: "starttls-required",
    auth: "required",
    relay: ["authenticated"],
  },
  {
    name: "submissions",
    listen: "0.0.0.0:465",
    tls: "implicit",
    auth: "required",
    relay: ["authenticated"],
  },
].map((listener) => listenerSchema.parse(listener));

/** True while the listeners are the ones the gateway started with: nobody has touched them. */
export function untouchedDefaults(listeners: readonly ListenerSettings[]): boolean {
  return (
    listeners.length === DEFAULT_LISTENERS.length &&
    listeners.every((listener) =>
      DEFAULT_LISTENERS.some((original) => Bun.deepEquals(listener, original, true)),
    )
  );
}
