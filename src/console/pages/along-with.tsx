// What goes with an item that is to be removed, as the question before it says, and what does not: senders, keys and accounts of a
// domain; what waits for it, who still writes for it, what is set to an address of it.
import type { PolicySection } from "../../policy/settings.ts";
import type { ConsoleContext } from "../console-env.ts";
import { Foreign } from "../parts/foreign-text.tsx";
import { waitingWords } from "../waiting-mail.ts";

/** Characters of a sentence: it is read whole before somebody agrees to it. */
const WHOLE = 4000;
/** So many are seen at once; the others when somebody wants to. */
const MOST = 50;
/** More than a page is good for: the API gives them all. */
const MOST_ON_PAGE = 5000;

function Words({ list }: { readonly list: readonly string[] }) {
  return (
    <ul>
      {list.map((one) => (
        <li>
          <Foreign text={one} max={WHOLE} />
        </li>
      ))}
    </ul>
  );
}

/** Sentences, then the list; nothing where there is nothing to say. */
export async function alongWith(c: ConsoleContext, section: PolicySection, key: string) {
  const services = c.get("services");
  const { changes, warnings } = await services.settings.removal(section, key);
  const words = changes
    .flatMap((change) => change.words)
    .filter((one) => one !== `${section} ${key}: removed`);
  const told = [...(await waitingWords(services, changes)), ...warnings];
  const [first, more] = [words.slice(0, MOST), words.slice(MOST)];
  const unseen = more.length - MOST_ON_PAGE;
  return (
    <>
      {told.map((one) => (
        <p>
          <Foreign text={`${one}.`} max={WHOLE} />
        </p>
      ))}
      {first.length > 0 && <p>This goes with it:</p>}
      {first.length > 0 && <Words list={first} />}
      {more.length > 0 && (
        <details>
          <summary>and {more.length} more</summary>
          <Words list={more.slice(0, MOST_ON_PAGE)} />
          {unseen > 0 && <p>And {unseen} more, which the API’s answer about the removal names.</p>}
        </details>
      )}
    </>
  );
}
