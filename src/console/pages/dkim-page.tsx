// The DKIM keys of a domain: made here, their records shown for copying, checked, switched on, rotated and removed. Domain
// administrators do so for their own domains.
import type { DkimAlgorithm, DkimAnswer, DkimKey } from "../../dkim/dkim.ts";
import { actorOf } from "../actor.ts";
import { alarmsOfDomain } from "../alarm-places.ts";
import type { ConsoleContext } from "../console-env.ts";
import { type KeysOfDomain, keysInAddress, nextSelector } from "../dkim-keys.ts";
import { AlarmNotices } from "../parts/alarm-state.tsx";
import { confirmPage } from "../parts/confirm-page.tsx";
import { ALGORITHM_NAMES, DkimKeyCard, keyUrl } from "../parts/dkim-key-card.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Icon } from "../parts/icon.tsx";
import { leaveNotice, Notice } from "../parts/notice.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { forRoles, type Route } from "../route.ts";
import { fullTime } from "../words/time.ts";
import { errorPage } from "./error-page.tsx";

interface Typed {
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly problem?: string;
}

const ALGORITHMS: readonly DkimAlgorithm[] = ["rsa", "ed25519"];
/** What signs comes first, then what is to sign, then what did. */
const ORDER: readonly DkimKey["state"][] = ["active", "pending", "retiring"];

function listUrl(domain: string): string {
  return `/domains/${encodeURIComponent(domain)}/dkim`;
}

function Guidance({ keys }: { readonly keys: readonly DkimKey[] }) {
  const active = keys.filter(({ state }) => state === "active");
  if (active.length > 0 && active.every(({ algorithm }) => algorithm === "ed25519"))
    return (
      <Notice tone="warn" title="Only Ed25519 signs">
        Many receivers cannot verify it yet and take the mail for unsigned. Let an RSA key sign as well.
      </Notice>
    );
  if (active.length > 0) return null;
  return (
    <Notice tone="warn" title="Mail of this domain is not signed yet">
      {keys.length === 0
        ? "Make a key, publish its record in the DNS, then let it sign."
        : "Publish the record of a key in the DNS, check it here, then choose “Sign with it”."}
    </Notice>
  );
}

function NewKey({ domain, typed }: { readonly domain: string; readonly typed: Typed }) {
  const invalid = typed.problem !== undefined;
  return (
    <Card title="Make a key">
      <form method="post" action={listUrl(domain)} class="inline-form">
        <div class={invalid ? "field invalid" : "field"}>
          <label for="selector">Selector</label>
          <input
            id="selector"
            name="selector"
            class="mono"
            value={typed.selector}
            autocomplete="off"
            required
            aria-invalid={invalid ? "true" : undefined}
            aria-describedby={invalid ? "selector-error" : undefined}
          />
          {invalid && (
            <span class="field-error" id="selector-error">
              {typed.problem}
            </span>
          )}
        </div>
        <div class="field">
          <label for="algorithm">Kind</label>
          <select id="algorithm" name="algorithm">
            {ALGORITHMS.map((algorithm) => (
              <option value={algorithm} selected={algorithm === typed.algorithm}>
                {ALGORITHM_NAMES[algorithm]}
              </option>
            ))}
          </select>
        </div>
        <button type="submit">Make key</button>
      </form>
      <p class="muted">
        Every receiver can verify RSA. Ed25519 is shorter and newer; with a key of each kind mail carries both
        signatures. To rotate, make a key of the same kind: the old one signs until the new one does.
      </p>
    </Card>
  );
}

function showKeys(c: ConsoleContext, shown: KeysOfDomain, typed?: Typed): Promise<Response> {
  const { domain, keys, isOurs } = shown;
  const inOrder = keys.toSorted(
    (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.createdAt - a.createdAt,
  );
  return consolePage(
    c,
    { title: `DKIM keys of ${domain}`, nav: "domains", status: typed === undefined ? 200 : 422 },
    <>
      <PageHeader
        crumb={{ href: "/domains", label: "Domains" }}
        title={`DKIM keys of ${domain}`}
        lead="Mail sent from this domain is signed here; receivers verify it with the key in the domain’s DNS."
      >
        <a class="button quiet" href={`/domains/${encodeURIComponent(domain)}/outgoing`}>
          <Icon name="sender" /> Outgoing mail
        </a>
      </PageHeader>
      <Guidance keys={keys} />
      <AlarmNotices
        alarms={alarmsOfDomain(c.get("services").alarms(), c.get("services").settings.current().policy, {
          domain: domain,
          part: "dkim",
        })}
      />
      {keys.length === 0 && (
        <EmptyState icon="token" title="No key yet">
          Make the first one below. Its private half never leaves this gateway.
        </EmptyState>
      )}
      {inOrder.map((key) => (
        <DkimKeyCard dkimKey={key} />
      ))}
      {isOurs && (
        <NewKey domain={domain} typed={typed ?? { selector: nextSelector(keys), algorithm: "rsa" }} />
      )}
    </>,
  );
}

async function postKey(c: ConsoleContext, shown: KeysOfDomain): Promise<Response> {
  const form = c.get("form");
  const selector = (form.get("selector") ?? "").trim().toLowerCase().slice(0, 80);
  const algorithm: DkimAlgorithm = form.get("algorithm") === "ed25519" ? "ed25519" : "rsa";
  const { domain, isOurs } = shown;
  if (!isOurs) return errorPage(c, 404, "No such domain", `The domain “${domain.slice(0, 80)}” was removed.`);
  const order = { domain, selector, algorithm };
  const answer = await c.get("services").dkim.create(order, actorOf(c).name);
  if (!answer.ok) return showKeys(c, shown, { selector, algorithm, problem: answer.words });
  leaveNotice(
    c,
    "good",
    `The key ${selector} was made. Publish its record in the DNS, then choose “Sign with it”.`,
  );
  return c.redirect(`${listUrl(domain)}#key-${selector}`, 303);
}

function backWith(c: ConsoleContext, domain: string, answer: DkimAnswer, done: string): Response {
  leaveNotice(c, answer.ok ? "good" : "bad", answer.ok ? done : answer.words);
  return c.redirect(listUrl(domain), 303);
}

async function postCheck(c: ConsoleContext, { domain }: KeysOfDomain, selector: string): Promise<Response> {
  const answer = await c.get("services").dkim.check(domain, selector);
  if (!answer.ok) return backWith(c, domain, answer, "");
  const { state, words } = answer.key.publication;
  leaveNotice(c, state === "published" ? "good" : "warn", words);
  return c.redirect(listUrl(domain), 303);
}

async function postActivate(
  c: ConsoleContext,
  { domain }: KeysOfDomain,
  selector: string,
): Promise<Response> {
  const answer = await c.get("services").dkim.activate(domain, selector, actorOf(c).name);
  return backWith(c, domain, answer, `The key ${selector} signs from the next message on.`);
}

async function postRetire(c: ConsoleContext, { domain }: KeysOfDomain, selector: string): Promise<Response> {
  const answer = await c.get("services").dkim.retire(domain, selector, actorOf(c).name);
  return backWith(
    c,
    domain,
    answer,
    `The key ${selector} signs no more. Leave its record in the DNS for a week.`,
  );
}

async function postRemove(c: ConsoleContext, { domain }: KeysOfDomain, selector: string): Promise<Response> {
  const answer = await c.get("services").dkim.remove(domain, selector, actorOf(c).name);
  return backWith(c, domain, answer, `The key ${selector} was removed.`);
}

/** The key a question is about; without one the list says so. */
function askAbout(
  c: ConsoleContext,
  { domain, keys }: KeysOfDomain,
  selector: string,
  ask: (key: DkimKey) => Promise<Response>,
): Response | Promise<Response> {
  const key = keys.find((one) => one.selector === selector);
  if (key !== undefined) return ask(key);
  const words = `There is no DKIM key “${selector.slice(0, 80)}” of ${domain}.`;
  return backWith(c, domain, { ok: false, words }, "");
}

function askRetire(c: ConsoleContext, shown: KeysOfDomain, selector: string): Response | Promise<Response> {
  return askAbout(c, shown, selector, (key) => {
    const others = shown.keys.some((one) => one.state === "active" && one.selector !== selector);
    return confirmPage(c, {
      nav: "domains",
      title: `Retire the key ${selector}?`,
      words: others ? (
        <p>The domain’s other active key goes on signing.</p>
      ) : (
        <p>
          No other key signs for {shown.domain}: its mail leaves unsigned from then on. To rotate, let a new
          key sign instead; this one then retires by itself.
        </p>
      ),
      action: `${keyUrl(key)}/retire`,
      submit: "Retire key",
      cancel: listUrl(shown.domain),
    });
  });
}

function askRemove(c: ConsoleContext, shown: KeysOfDomain, selector: string): Response | Promise<Response> {
  return askAbout(c, shown, selector, (key) => {
    const until = key.retireAt === null ? null : fullTime(key.retireAt, "UTC");
    return confirmPage(c, {
      nav: "domains",
      title: `Remove the key ${selector}?`,
      words: (
        <p>
          It cannot be brought back.{" "}
          {until === null
            ? "Remove its record from the DNS too, if it is there."
            : `Leave its record in the DNS until ${until} UTC: mail it signed is still on the way.`}
        </p>
      ),
      action: `${keyUrl(key)}/remove`,
      submit: "Remove key",
      cancel: listUrl(shown.domain),
    });
  });
}

/** Runs the page for the domain of the address, when whoever asks may see it. */
function ofDomain(
  work: (c: ConsoleContext, shown: KeysOfDomain, selector: string) => Response | Promise<Response>,
) {
  return async (c: ConsoleContext): Promise<Response> => {
    const shown = await keysInAddress(c);
    if (shown !== null) return work(c, shown, c.req.param("selector") ?? "");
    const name = (c.req.param("key") ?? "").slice(0, 80);
    return errorPage(c, 404, "No such domain", `There is no domain “${name}” that you look after.`);
  };
}

const keepers = forRoles("administrator", "domain-administrator");
const LIST = "/domains/:key/dkim";
const KEY = `${LIST}/:selector`;

export const dkimRoutes: readonly Route[] = [
  keepers.get(
    LIST,
    ofDomain((c, shown) => showKeys(c, shown)),
  ),
  keepers.post(LIST, ofDomain(postKey)),
  keepers.post(`${KEY}/check`, ofDomain(postCheck)),
  keepers.post(`${KEY}/activate`, ofDomain(postActivate)),
  keepers.get(`${KEY}/retire`, ofDomain(askRetire)),
  keepers.post(`${KEY}/retire`, ofDomain(postRetire)),
  keepers.get(`${KEY}/remove`, ofDomain(askRemove)),
  keepers.post(`${KEY}/remove`, ofDomain(postRemove)),
];
