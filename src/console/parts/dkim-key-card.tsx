// One DKIM key as a card: its state, the record to publish, what the DNS says, and what can be done with it.
import type { DkimKey, DkimPublication } from "../../dkim/dkim.ts";
import { quotedStrings } from "../../dkim/key-record.ts";
import type { Tone } from "../words/state.ts";
import { Badge } from "./badge.tsx";
import { Icon } from "./icon.tsx";
import { inPlace } from "./live.ts";
import { Moment } from "./moment.tsx";
import { Card, Details } from "./page-header.tsx";

export const ALGORITHM_NAMES: Readonly<Record<DkimKey["algorithm"], string>> = {
  rsa: "RSA 2048",
  ed25519: "Ed25519",
};

const STATES: Readonly<Record<DkimKey["state"], { readonly tone: Tone; readonly label: string }>> = {
  pending: { tone: "info", label: "Not used yet" },
  active: { tone: "good", label: "Signs" },
  retiring: { tone: "quiet", label: "Retiring" },
};

const PUBLICATIONS: Readonly<
  Record<DkimPublication["state"], { readonly tone: Tone; readonly label: string }>
> = {
  unchecked: { tone: "quiet", label: "Not looked at yet" },
  published: { tone: "good", label: "Published" },
  missing: { tone: "warn", label: "Not found" },
  different: { tone: "bad", label: "Wrong record" },
  failed: { tone: "held", label: "No answer" },
};

/** `/domains/example.test/dkim/gate1`. */
export function keyUrl({ domain, selector }: Pick<DkimKey, "domain" | "selector">): string {
  return `/domains/${encodeURIComponent(domain)}/dkim/${encodeURIComponent(selector)}`;
}

function StateWords({ dkimKey }: { readonly dkimKey: DkimKey }) {
  const { state, activatedAt, retireAt, createdAt } = dkimKey;
  switch (state) {
    case "pending":
      return (
        <>
          Made <Moment at={createdAt} style="full" />; it signs once its record is published.
        </>
      );
    case "active":
      return (
        <>
          Signs the domain’s mail since <Moment at={activatedAt ?? createdAt} style="full" />.
        </>
      );
    case "retiring":
      return (
        <>
          Signs no more. Leave its record in the DNS until <Moment at={retireAt ?? createdAt} style="full" />:
          mail it signed is still on the way.
        </>
      );
  }
}

/** Fields to copy from; the browser selects and scrolls them, no script is needed. */
function RecordFields({ dkimKey }: { readonly dkimKey: DkimKey }) {
  const { record, selector } = dkimKey;
  const id = (part: string): string => `${selector}-${part}`;
  const strings = quotedStrings(record.value);
  const long = strings.length > record.value.length + 2;
  return (
    <>
      <div class="field">
        <label for={id("name")}>Name of the TXT record</label>
        <input id={id("name")} class="mono" value={record.name} readonly spellcheck={false} />
        <span class="field-help">
          Where the DNS provider adds the domain by itself, enter <code>{selector}._domainkey</code>.
        </span>
      </div>
      <div class="field">
        <label for={id("value")}>Value</label>
        <textarea id={id("value")} class="mono" rows={long ? 6 : 2} readonly spellcheck={false}>
          {record.value}
        </textarea>
      </div>
      {long && (
        <details>
          <summary>In strings of at most 255 characters, for zone files</summary>
          <div class="field">
            <label class="visually-hidden" for={id("strings")}>
              Value in quoted strings
            </label>
            <textarea id={id("strings")} class="mono" rows={6} readonly spellcheck={false}>
              {strings}
            </textarea>
          </div>
        </details>
      )}
    </>
  );
}

function Publication({ publication }: { readonly publication: DkimPublication }) {
  const { tone, label } = PUBLICATIONS[publication.state];
  return (
    <>
      <Badge tone={tone}>{label}</Badge>{" "}
      {publication.checkedAt !== null && (
        <span class="muted">
          looked <Moment at={publication.checkedAt} style="relative" />
        </span>
      )}
      {publication.state !== "unchecked" && publication.words !== "" && <p>{publication.words}</p>}
    </>
  );
}

function Actions({ dkimKey }: { readonly dkimKey: DkimKey }) {
  const url = keyUrl(dkimKey);
  const { selector, state } = dkimKey;
  return (
    <div class="page-actions">
      <form {...inPlace(`${url}/check`)}>
        <button type="submit" class="quiet" id={`check-${selector}`}>
          <Icon name="search" size={15} /> Check now<span class="visually-hidden"> {selector}</span>
        </button>
      </form>
      {state !== "active" && (
        <form {...inPlace(`${url}/activate`)}>
          <button type="submit" id={`activate-${selector}`}>
            <Icon name="check" size={15} /> Sign with it<span class="visually-hidden"> {selector}</span>
          </button>
        </form>
      )}
      {state === "active" ? (
        <a class="button quiet danger-text" href={`${url}/retire`}>
          <Icon name="quiet" size={15} /> Retire…<span class="visually-hidden"> {selector}</span>
        </a>
      ) : (
        <a class="button quiet danger-text" href={`${url}/remove`}>
          <Icon name="trash" size={15} /> Remove…<span class="visually-hidden"> {selector}</span>
        </a>
      )}
    </div>
  );
}

export function DkimKeyCard({ dkimKey }: { readonly dkimKey: DkimKey }) {
  const { tone, label } = STATES[dkimKey.state];
  return (
    <Card
      id={`key-${dkimKey.selector}`}
      title={<span class="mono">{dkimKey.selector}</span>}
      aside={
        <>
          <Badge tone="quiet">{ALGORITHM_NAMES[dkimKey.algorithm]}</Badge> <Badge tone={tone}>{label}</Badge>
        </>
      }
    >
      <div class="dkim-key">
        <p>
          <StateWords dkimKey={dkimKey} />
        </p>
        <RecordFields dkimKey={dkimKey} />
        <Details rows={[["In the DNS", <Publication publication={dkimKey.publication} />]]} />
        <Actions dkimKey={dkimKey} />
      </div>
    </Card>
  );
}
