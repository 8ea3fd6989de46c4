// What goes with an item that is to be removed, as the question before it says: senders, keys and accounts of a domain.
import type { PolicySection } from "../../policy/settings.ts";
import type { ConsoleContext } from "../console-env.ts";
import { Foreign } from "../parts/foreign-text.tsx";

/** So many are listed; the rest is counted. */
const MOST = 50;

/** The list, or nothing. */
export async function alongWith(c: ConsoleContext, section: PolicySection, key: string) {
  const changes = await c.get("services").settings.removal(section, key);
  const words = changes
    .flatMap((change) => change.words)
    .filter((one) => one !== `${section} ${key}: removed`);
  if (words.length === 0) return null;
  const more = words.length - MOST;
  return (
    <>
      <p>This goes with it:</p>
      <ul>
        {words.slice(0, MOST).map((one) => (
          <li>
            <Foreign text={one} />
          </li>
        ))}
        {more > 0 && <li>and {more} more</li>}
      </ul>
    </>
  );
}
