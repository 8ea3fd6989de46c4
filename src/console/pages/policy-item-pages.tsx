// Adding, changing and removing one item of a policy list: the same way for domains, senders, listeners, rules and hooks.
import type { Child } from "hono/jsx";
import { itemKey } from "../../policy/policy-document.ts";
import type { PolicyProblem } from "../../policy/settings.ts";
import { actorOf } from "../actor.ts";
import type { ConsoleContext } from "../console-env.ts";
import type { FieldGroup, OptionalObject } from "../forms/field.ts";
import { formOf } from "../forms/form-input.ts";
import { PolicyForm } from "../forms/policy-form.tsx";
import { type SaveResult, savePolicyForm } from "../forms/save-policy.ts";
import { confirmPage } from "../parts/confirm-page.tsx";
import { consolePage } from "../parts/document.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import type { PageName } from "../parts/navigation.tsx";
import { leaveNotice } from "../parts/notice.tsx";
import { PageHeader } from "../parts/page-header.tsx";
import { forAdministrator, type Route, type RouteMaker } from "../route.ts";
import { alongWith } from "./along-with.tsx";
import { errorPage } from "./error-page.tsx";

export type ListSection = "listener" | "domain" | "sender" | "rule" | "template" | "hook";
type Input = Record<string, unknown>;

export interface ItemPages {
  readonly section: ListSection;
  /** `/domains`. */
  readonly base: string;
  readonly nav: PageName;
  /** `domain`, in titles. */
  readonly noun: string;
  readonly listTitle: string;
  /** The fields; `stored` is the item being changed, or null for a new one. */
  readonly groups: (c: ConsoleContext, stored: object | null) => readonly FieldGroup[];
  /** What a new form holds. */
  readonly blank: (c: ConsoleContext) => object;
  /** Fields that name the item and cannot change. */
  readonly keyFields: readonly string[];
  readonly optionalObjects?: readonly OptionalObject[];
  /** Fills fields that are not plain paths of the item. */
  readonly fill?: (form: URLSearchParams, item: object) => void;
  /** The reverse of `fill`; may add problems. `stored` is the item being changed, or null for a new one. */
  readonly finish?: (input: Input, c: ConsoleContext, stored: object | null) => readonly PolicyProblem[];
  readonly lead?: (stored: object | null, c: ConsoleContext) => Child;
  /** Who may open the pages at all; left out: administrators. */
  readonly routes?: RouteMaker;
  /** May whoever asks see and change this item? What is not visible is as if it were not there. Left out: yes. */
  readonly visible?: (c: ConsoleContext, item: object) => boolean;
  /** Why whoever asks may see this item but not change or remove it; null: may. Left out: always may. */
  readonly refuse?: (c: ConsoleContext, item: object) => string | null;
  /** A second button of the form for a new item: it saves, then opens the item’s settings. */
  readonly configure?: string;
  readonly aside?: (c: ConsoleContext) => Child;
  /** How the item does at present, where that is worth a word above its form. */
  readonly state?: (c: ConsoleContext, stored: object) => Child;
  /** What removing means. */
  readonly removeWords: string;
}

function storedItems(c: ConsoleContext, section: ListSection): readonly object[] {
  return c.get("services").settings.current().policy[section];
}

function storedItem(c: ConsoleContext, section: ListSection, key: string): object | null {
  return storedItems(c, section).find((item) => itemKey(section, item) === key) ?? null;
}

/** The stored item of the address, when whoever asks may see it. */
function visibleItem(c: ConsoleContext, pages: ItemPages): object | null {
  const item = storedItem(c, pages.section, keyOf(c));
  return item !== null && (pages.visible?.(c, item) ?? true) ? item : null;
}

function keyOf(c: ConsoleContext): string {
  return c.req.param("key") ?? "";
}

function noSuchItem(c: ConsoleContext, pages: ItemPages): Promise<Response> {
  return errorPage(c, 404, `No such ${pages.noun}`, `There is no ${pages.noun} “${keyOf(c).slice(0, 80)}”.`);
}

/** The answer to somebody who may see the item but not change it, or null. */
function refusal(c: ConsoleContext, pages: ItemPages, stored: object): Promise<Response> | null {
  const words = pages.refuse?.(c, stored) ?? null;
  return words === null ? null : errorPage(c, 403, `This ${pages.noun} is not yours to change`, words);
}

/** The answer to somebody who may see and change the item but not remove it, or null. */
function removalRefusal(c: ConsoleContext, { section, noun }: ItemPages): Promise<Response> | null {
  const kept = c.get("services").settings.whyKept(section, keyOf(c), actorOf(c));
  return kept === null ? null : errorPage(c, 403, "It stays", `The ${noun} ${keyOf(c)} ${kept}.`);
}

/** The name of the second button. */
const NEXT = "next";

interface Shown {
  readonly stored: object | null;
  readonly form: URLSearchParams;
  readonly problems: readonly PolicyProblem[];
}

function showForm(c: ConsoleContext, pages: ItemPages, shown: Shown): Promise<Response> {
  const { stored } = shown;
  const key = stored === null ? "" : itemKey(pages.section, stored);
  const title = stored === null ? `Add ${pages.noun}` : key;
  const query = stored === null ? new URL(c.req.url).search : "";
  return consolePage(
    c,
    { title, nav: pages.nav, status: shown.problems.length > 0 ? 422 : 200 },
    <>
      <PageHeader
        crumb={{ href: pages.base, label: pages.listTitle }}
        title={<Foreign text={title} />}
        lead={pages.lead?.(stored, c)}
      />
      {stored !== null && pages.state?.(c, stored)}
      <div class="form-page">
        <PolicyForm
          action={
            stored === null ? `${pages.base}/new${query}` : `${pages.base}/${encodeURIComponent(key)}/edit`
          }
          groups={pages.groups(c, stored)}
          form={shown.form}
          problems={shown.problems}
          submit={stored === null ? `Add ${pages.noun}` : "Save changes"}
          cancel={pages.base}
          fixed={stored === null ? [] : pages.keyFields}
          {...(stored === null && pages.configure !== undefined
            ? { second: { name: NEXT, value: "configure", label: pages.configure } }
            : {})}
        />
        {pages.aside && <aside class="form-aside">{pages.aside(c)}</aside>}
      </div>
    </>,
  );
}

function filled(c: ConsoleContext, pages: ItemPages, stored: object | null): URLSearchParams {
  const item = stored ?? pages.blank(c);
  const form = formOf(pages.groups(c, stored), item);
  pages.fill?.(form, item);
  return form;
}

function isTaken(c: ConsoleContext, pages: ItemPages, input: Input): boolean {
  const key = itemKey(pages.section, input);
  return key !== "" && storedItem(c, pages.section, key) !== null;
}

async function save(c: ConsoleContext, pages: ItemPages, stored: object | null): Promise<Response> {
  const key = stored === null ? null : itemKey(pages.section, stored);
  let saved = "";
  const result: SaveResult = await savePolicyForm(c, {
    section: pages.section,
    key: key ?? "",
    groups: pages.groups(c, stored),
    ...(pages.optionalObjects === undefined ? {} : { optionalObjects: pages.optionalObjects }),
    filled: (now) => filled(c, pages, now),
    finish: (input, now) => {
      const problems = [...(pages.finish?.(input, c, now) ?? [])];
      saved = itemKey(pages.section, input);
      const path = pages.keyFields[0] ?? "";
      if (key === null && isTaken(c, pages, input))
        problems.push({
          path,
          message: `there is one already; change it from the list of ${pages.listTitle.toLowerCase()}`,
        });
      if (key !== null && itemKey(pages.section, input) !== key)
        problems.push({ path, message: "cannot be changed; add a new one and remove this one" });
      return problems;
    },
  });
  if (result.kind === "again")
    return showForm(c, pages, { stored, form: result.form, problems: result.problems });
  leaveNotice(c, result.notice.tone, result.notice.text);
  const configure = stored === null && c.get("form").get(NEXT) === "configure";
  return c.redirect(configure ? `${pages.base}/${encodeURIComponent(saved)}/edit` : pages.base, 303);
}

async function remove(c: ConsoleContext, pages: ItemPages): Promise<Response> {
  const key = keyOf(c);
  const stored = visibleItem(c, pages);
  const refused = stored === null ? null : (refusal(c, pages, stored) ?? removalRefusal(c, pages));
  if (refused !== null) return refused;
  const removed =
    stored !== null && (await c.get("services").settings.remove(pages.section, key, actorOf(c)));
  if (!removed) return noSuchItem(c, pages);
  leaveNotice(c, "good", `The ${pages.noun} ${key} was removed.`);
  return c.redirect(pages.base, 303);
}

async function askRemove(c: ConsoleContext, pages: ItemPages): Promise<Response> {
  const key = keyOf(c);
  const stored = visibleItem(c, pages);
  if (stored === null) return noSuchItem(c, pages);
  const refused = refusal(c, pages, stored) ?? removalRefusal(c, pages);
  if (refused !== null) return refused;
  return confirmPage(c, {
    nav: pages.nav,
    title: `Remove ${pages.noun} ${key}?`,
    words: (
      <>
        <p>{pages.removeWords}</p>
        {await alongWith(c, pages.section, key)}
      </>
    ),
    action: `${pages.base}/${encodeURIComponent(key)}/remove`,
    submit: `Remove ${pages.noun}`,
    cancel: pages.base,
  });
}

/** The routes of one list section but the list itself. */
export function itemRoutes(pages: ItemPages): readonly Route[] {
  const { base, routes: maker = forAdministrator } = pages;
  const withStored =
    (work: (c: ConsoleContext, stored: object) => Promise<Response>) => (c: ConsoleContext) => {
      const stored = visibleItem(c, pages);
      return stored === null ? noSuchItem(c, pages) : (refusal(c, pages, stored) ?? work(c, stored));
    };
  return [
    maker.get(`${base}/new`, (c) =>
      showForm(c, pages, { stored: null, form: filled(c, pages, null), problems: [] }),
    ),
    maker.post(`${base}/new`, (c) => save(c, pages, null)),
    maker.get(
      `${base}/:key/edit`,
      withStored((c, stored) => showForm(c, pages, { stored, form: filled(c, pages, stored), problems: [] })),
    ),
    maker.post(
      `${base}/:key/edit`,
      withStored((c, stored) => save(c, pages, stored)),
    ),
    maker.get(`${base}/:key/remove`, (c) => askRemove(c, pages)),
    maker.post(`${base}/:key/remove`, (c) => remove(c, pages)),
  ];
}
