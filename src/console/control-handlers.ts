// What the running gateway does for each command of the command line. The same functions as the console and the API.
import { parse as parseToml } from "smol-toml";
import type { Checker } from "../checks/check.ts";
import { exportToml } from "../policy/policy-document.ts";
import type { Actor, PlanResult } from "../policy/settings.ts";
import { unreadComment } from "../policy/unread.ts";
import { explain } from "../session/explain.ts";
import type { ControlHandlers } from "./control.ts";
import { malwareIn, releaseStop } from "./release-terms.ts";
import type { ConsoleServices } from "./services.ts";
import type { SetupCode } from "./setup-code.ts";
import { withWaiting } from "./waiting-mail.ts";

const COMMAND_LINE: Actor = { name: "command line", via: "cli", ip: null };

export interface ControlParts extends ConsoleServices {
  readonly checks: Pick<Checker, "run">;
  readonly setup: SetupCode;
  /** Writes a backup into a new directory. Rejects in words. */
  readonly backUp: (directory: string) => Promise<{ readonly files: number; readonly bytes: number }>;
}

/** A policy file's text as a document, or what is wrong with it as TOML. */
function parsePolicyText(
  text: string,
): { readonly ok: true; readonly document: unknown } | Extract<PlanResult, { ok: false }> {
  try {
    return { ok: true, document: parseToml(text) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, problems: [{ path: "(file)", message: `is not valid TOML: ${message}` }] };
  }
}

/** Makes the handlers. */
export function createControlHandlers(parts: ControlParts): ControlHandlers {
  const { settings, queue, quarantine, messageLog, setup } = parts;
  const audit = (action: string, subject: string, detail: string): Promise<void> =>
    parts.accounts.audit({
      at: parts.clock.now(),
      actor: COMMAND_LINE.name,
      via: COMMAND_LINE.via,
      ip: null,
      action,
      subject,
      detail,
    });
  const counted = async (action: string, id: string | null, change: Promise<number>): Promise<number> => {
    const count = await change;
    await audit(action, id ?? "all", `${count} recipients`);
    return count;
  };
  return {
    status: async () => ({
      version: parts.version,
      setupCode: setup.current(),
      listeners: parts.listeners().map((status) => {
        const set = settings.current().policy.listener.find(({ name }) => name === status.name);
        const plain = set?.tls === "none" || set?.tls === "starttls";
        return { ...status, forStrangers: set?.auth !== "required" && plain };
      }),
      alarms: parts.alarms(),
    }),
    plan: async ({ text, prune }) => {
      const parsed = parsePolicyText(text);
      if (!parsed.ok) return parsed;
      return withWaiting({ queue, settings }, await settings.plan(parsed.document, { prune }));
    },
    apply: async ({ text, prune }) => {
      const parsed = parsePolicyText(text);
      return parsed.ok ? settings.apply(parsed.document, { prune, actor: COMMAND_LINE }) : parsed;
    },
    export: async ({ secrets = false }) => {
      if (secrets) await audit("export", "policy", "with secrets");
      const { policy, unread } = settings.current();
      return {
        text: `${unreadComment(unread)}${exportToml(policy, { secrets: secrets ? "keep" : "hide" })}`,
      };
    },
    check: ({ messageBase64, ...question }) =>
      explain(
        { ...question, raw: Buffer.from(messageBase64, "base64") },
        {
          snapshot: settings.current(),
          checker: parts.checks,
          now: parts.clock.now(),
          outgoing: parts.outgoing,
        },
      ),
    "log-search": ({ filter }) => messageLog.find(filter),
    "log-get": ({ id }) => messageLog.get(id),
    "queue-list": (page) => queue.list(page),
    "queue-retry": ({ id }) => counted("queue retry", id, queue.retry(id)),
    "queue-hold": ({ id }) => counted("queue hold", id, queue.hold(id)),
    "queue-drop": ({ id }) => counted("queue drop", id, queue.drop(id, COMMAND_LINE.name)),
    "quarantine-list": (filter) => quarantine.list(filter),
    "quarantine-release": async ({ id, malware = false }) => {
      const item = await quarantine.get(id);
      const stop = item?.state === "kept" ? await releaseStop(settings.current(), item, quarantine) : null;
      if (stop !== null) return { refused: stop };
      const record = item === null ? null : ((await messageLog.get(item.messageId))?.record ?? null);
      const found = item?.state === "kept" ? malwareIn(record, item.rule) : null;
      if (found !== null && !malware) return { found };
      const result = await quarantine.release(id, COMMAND_LINE.name);
      await audit("quarantine release", id, result);
      return result;
    },
    "quarantine-seen": async ({ id }) => {
      if ((await quarantine.get(id)) === null) return false;
      await quarantine.see(id);
      await audit("quarantine seen", id, "");
      return true;
    },
    "quarantine-delete": async ({ id }) => {
      const removed = await quarantine.remove(id, COMMAND_LINE.name);
      await audit("quarantine delete", id, removed ? "deleted" : "was not there");
      return removed;
    },
    "lock-list": async () => parts.outgoing.locks(),
    "lock-unlock": (key) => parts.outgoing.unlock(key, COMMAND_LINE.name),
    backup: async ({ directory }) => {
      const result = await parts.backUp(directory);
      await audit("backup", directory, `${result.files} files`);
      return result;
    },
    "admin-reset": async () => {
      const setupCode = await setup.renew();
      await audit("admin reset", "set-up code", "");
      return { setupCode };
    },
  };
}
