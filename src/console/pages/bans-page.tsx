// Client networks that are shut out for guessing passwords or recipients (requirement L4): the list, and lifting a ban.
import type { Ban } from "../../session/bans.ts";
import type { RefusedLogin } from "../../session/login-book.ts";
import { audit } from "../actor.ts";
import type { ConsoleContext } from "../console-env.ts";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { consolePage } from "../parts/document.tsx";
import { EmptyState } from "../parts/empty-state.tsx";
import { Foreign } from "../parts/foreign-text.tsx";
import { Icon } from "../parts/icon.tsx";
import { liveRegion } from "../parts/live.ts";
import { Moment } from "../parts/moment.tsx";
import { leaveNotice } from "../parts/notice.tsx";
import { Card, PageHeader } from "../parts/page-header.tsx";
import { forAdministrator, type Route } from "../route.ts";
import { count, counted } from "../words/amount.ts";

const MAX_SHOWN = 500;
const MAX_REFUSED = 200;

const COLUMNS: readonly Column<Ban>[] = [
  { label: "Network", kind: "main", cell: (ban) => <strong class="mono">{ban.network}</strong> },
  {
    label: "Why",
    cell: (ban) => (
      <>
        <Foreign text={ban.words} max={240} />
        {ban.logins.length > 0 && (
          <span class="under muted">
            tried <Foreign text={ban.logins.join(", ")} max={200} />
          </span>
        )}
      </>
    ),
  },
  { label: "Failed log-ins", kind: "number", extra: true, cell: (ban) => count(ban.failedLogins) },
  { label: "Wrong recipients", kind: "number", extra: true, cell: (ban) => count(ban.unknownRecipients) },
  { label: "Times", kind: "number", extra: true, cell: (ban) => count(ban.times) },
  { label: "Since", kind: "tight", cell: (ban) => <Moment at={ban.since} /> },
  { label: "Ends", kind: "tight", cell: (ban) => <Moment at={ban.until} style="relative" /> },
  {
    label: "Actions",
    kind: "actions",
    cell: (ban) => (
      <form method="post" action="/bans/lift">
        <input type="hidden" name="network" value={ban.network} />
        <button type="submit" class="quiet small">
          <Icon name="unlock" size={15} /> Lift<span class="visually-hidden"> the ban of {ban.network}</span>
        </button>
      </form>
    ),
  },
];

const REFUSED_COLUMNS: readonly Column<RefusedLogin>[] = [
  {
    label: "Log-in",
    kind: "main",
    cell: ({ login, exists }) => (
      <>
        {exists ? (
          <a href={`/senders?${new URLSearchParams({ q: login })}`}>
            <Foreign text={login} max={100} />
          </a>
        ) : (
          <Foreign text={login} max={100} />
        )}
        {!exists && <span class="under muted">nobody has this log-in</span>}
      </>
    ),
  },
  { label: "From", kind: "tight", cell: ({ network }) => <span class="mono">{network}</span> },
  { label: "Why", cell: ({ cause }) => <Foreign text={cause} max={200} /> },
  { label: "Times", kind: "number", cell: ({ refused }) => count(refused) },
  { label: "Last", kind: "tight", cell: ({ refusedAt }) => <Moment at={refusedAt} /> },
];

/** Wrong passwords, long before they ban anybody: "Outlook keeps asking for my password". */
function RefusedLogins({ lines }: { readonly lines: readonly RefusedLogin[] }) {
  return (
    <Card title="Refused log-ins" id="refused" flush>
      {lines.length === 0 ? (
        <p class="card-foot muted">No log-in over SMTP was refused lately.</p>
      ) : (
        <DataTable
          caption="Refused log-ins by log-in and network, newest first"
          columns={REFUSED_COLUMNS}
          rows={lines}
          rowId={({ login, network }) => `r-${login}-${network}`}
        />
      )}
    </Card>
  );
}

function getBans(c: ConsoleContext): Promise<Response> {
  const bans = c.get("services").bans.list();
  const shown = bans.slice(0, MAX_SHOWN);
  return consolePage(
    c,
    { title: "Bans", nav: "bans" },
    <>
      <PageHeader
        title="Bans"
        lead="Networks that guessed passwords or recipients and are shut out for a time. Trusted networks never are."
      />
      <div {...liveRegion({ id: "bans", url: "/bans", seconds: 10 })}>
        {shown.length === 0 ? (
          <EmptyState icon="ban" title="Nobody is banned">
            After ten different wrong passwords, or a hundred unknown recipients, a network appears here by
            itself.
          </EmptyState>
        ) : (
          <>
            <p class="muted">{counted(bans.length, "network")}, newest first</p>
            <DataTable
              caption="Bans, newest first"
              columns={COLUMNS}
              rows={shown}
              rowId={(ban) => `b-${ban.network}`}
            />
          </>
        )}
        <RefusedLogins lines={c.get("services").logins.refused(MAX_REFUSED)} />
      </div>
    </>,
  );
}

async function postLift(c: ConsoleContext): Promise<Response> {
  const network = (c.get("form").get("network") ?? "").slice(0, 60);
  const lifted = c.get("services").bans.lift(network);
  if (lifted) await audit(c, { action: "ban lifted", subject: network });
  leaveNotice(
    c,
    lifted ? "good" : "info",
    lifted ? `The ban of ${network} is lifted.` : "It was not banned any more.",
  );
  return c.redirect("/bans", 303);
}

export const bansRoutes: readonly Route[] = [
  forAdministrator.get("/bans", getBans),
  forAdministrator.post("/bans/lift", postLift),
];
