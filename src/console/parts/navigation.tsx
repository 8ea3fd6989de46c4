// The side navigation. On narrow screens it opens as a sheet by its own address (#navigation), without script.
import type { Child } from "hono/jsx";
import type { Account } from "../../store/accounts.ts";
import { Icon, type IconName } from "./icon.tsx";

export type PageName =
  | "overview"
  | "messages"
  | "quarantine"
  | "queue"
  | "domains"
  | "senders"
  | "identities"
  | "rules"
  | "listeners"
  | "settings"
  | "audit"
  | "tokens"
  | "accounts"
  | "bans"
  | "account";

interface Entry {
  readonly name: PageName;
  readonly href: string;
  readonly label: string;
  readonly icon: IconName;
  readonly roles: readonly Account["role"][];
}

const ADMIN = ["administrator"] as const;
const KEEPERS = ["administrator", "domain-administrator"] as const;

const GROUPS: readonly { readonly label: string; readonly entries: readonly Entry[] }[] = [
  {
    label: "Mail",
    entries: [
      { name: "overview", href: "/", label: "Overview", icon: "overview", roles: ADMIN },
      { name: "messages", href: "/messages", label: "Message log", icon: "log", roles: KEEPERS },
      { name: "quarantine", href: "/quarantine", label: "Quarantine", icon: "quarantine", roles: KEEPERS },
      { name: "queue", href: "/queue", label: "Queue", icon: "queue", roles: ADMIN },
    ],
  },
  {
    label: "Policy",
    entries: [
      { name: "domains", href: "/domains", label: "Domains", icon: "domain", roles: KEEPERS },
      { name: "senders", href: "/senders", label: "Senders", icon: "sender", roles: KEEPERS },
      { name: "identities", href: "/identities", label: "Identities", icon: "identity", roles: KEEPERS },
      { name: "rules", href: "/rules", label: "Rules", icon: "rule", roles: ADMIN },
    ],
  },
  {
    label: "Gateway",
    entries: [
      { name: "listeners", href: "/listeners", label: "Listeners", icon: "listener", roles: ADMIN },
      { name: "settings", href: "/settings", label: "Settings", icon: "settings", roles: ADMIN },
      { name: "accounts", href: "/accounts", label: "Accounts", icon: "accounts", roles: ADMIN },
      { name: "bans", href: "/bans", label: "Bans", icon: "ban", roles: ADMIN },
      { name: "tokens", href: "/tokens", label: "API", icon: "token", roles: ADMIN },
      { name: "audit", href: "/audit", label: "Audit log", icon: "audit", roles: ADMIN },
    ],
  },
];

function Link(props: { readonly entry: Entry; readonly current: PageName; readonly alarms: number }) {
  const { entry } = props;
  return (
    <li>
      <a href={entry.href} aria-current={entry.name === props.current ? "page" : undefined}>
        <Icon name={entry.icon} size={17} />
        <span>{entry.label}</span>
        {entry.name === "overview" && props.alarms > 0 && (
          <span class="nav-count">
            {props.alarms}
            <span class="visually-hidden"> to look at</span>
          </span>
        )}
      </a>
    </li>
  );
}

export function Navigation(props: {
  readonly current: PageName;
  readonly account: Account;
  readonly mark: string;
  readonly alarms: number;
  readonly children?: Child;
}) {
  const role = props.account.role;
  const groups = GROUPS.map((group) => ({
    label: group.label,
    entries: group.entries.filter((entry) => entry.roles.includes(role)),
  })).filter((group) => group.entries.length > 0);
  return (
    <>
      <header class="topbar">
        <a class="topbar-brand" href="/">
          <img src={props.mark} width={24} height={24} alt="" /> Gatepost
        </a>
        <a class="menu-button" href="#navigation">
          <Icon name="menu" size={20} /> Menu
        </a>
      </header>
      <nav class="sidebar" id="navigation" aria-label="Main">
        <a class="sidebar-brand" href="/">
          <img src={props.mark} width={28} height={28} alt="" /> <span>Gatepost</span>
        </a>
        <a class="menu-close" href="#content">
          <Icon name="close" size={20} /> <span class="visually-hidden">Close the menu</span>
        </a>
        <div class="nav-groups">
          {groups.map((group) => (
            <div class="nav-group">
              <p class="nav-label">{group.label}</p>
              <ul>
                {group.entries.map((entry) => (
                  <Link entry={entry} current={props.current} alarms={props.alarms} />
                ))}
              </ul>
            </div>
          ))}
        </div>
        <div class="nav-foot">
          {props.children}
          <a
            class="nav-button"
            href="/account"
            aria-current={props.current === "account" ? "page" : undefined}
          >
            <Icon name="account" /> <span class="nav-login">{props.account.login}</span>
          </a>
          <form method="post" action="/logout">
            <button type="submit" class="nav-button">
              <Icon name="logout" /> <span>Log out</span>
            </button>
          </form>
        </div>
      </nav>
    </>
  );
}
