// Accounts, console sessions, API tokens and the audit log in gatepost.db. Secrets arrive hashed; every lookup is one indexed query.
import { and, count, desc, eq, gt, inArray, lte, ne, or, sql } from "drizzle-orm";
import type { Account, AccountChange, Accounts, AuditEntry } from "./accounts.ts";
import { type DatabaseWriter, StoreError } from "./database.ts";
import { SLICE_ROWS } from "./delete-old.ts";
import { failedLogIns } from "./failed-log-ins.ts";
import { account, apiToken, auditLog, consoleSession } from "./gatepost-schema.ts";
import { sqlBuilder, sqlStatement, statement, typed } from "./statement.ts";

// What a person or a program can sensibly mean; longer input never reaches the database.
const MAX_LOGIN = 254;
const MAX_TOKEN_NAME = 100;
const MAX_AUDIT_TEXT = 4000;
const MAX_AUDIT_ROWS = 1000;
const MAX_ACCOUNTS = 1000;

const accountColumns = {
  id: account.id,
  login: account.login,
  role: account.role,
  domains: account.domains,
};

/** Tokens act as their account: those of one that is gone, or no administrator any more, are gone too. */
const ENDED_TOKENS = sqlStatement(
  sql`delete from api_token where account_id not in (select id from account where role = 'administrator')`,
);

/** Names that stand in the logs for somebody else than an account. */
const RESERVED =
  /^(gatepost|command line|first start|self-service|one-time unlock link|guest|api token .*)$/i;

/** Accounts over `database`. Logins are compared without regard to ASCII case. */
export function createAccounts(database: DatabaseWriter, now: () => number = Date.now): Accounts {
  const read = typed(database);
  const failures = { known: failedLogIns(), unknown: failedLogIns() };
  /** One after the other: of two at once that are the first to be counted together, the second must find the first one's line. */
  let lastFailure: Promise<unknown> = Promise.resolve();
  const write = (query: Parameters<typeof statement>[0]): Promise<readonly number[]> =>
    database.commit([statement(query)]);

  /** The account is not an administrator, or it is not the only one. Part of the statement, so that two changes cannot slip by each other. */
  const anotherAdministrator = (id: string) =>
    or(
      ne(account.role, "administrator"),
      sql`exists (select 1 from account other where other.role = 'administrator' and other.id <> ${id})`,
    );

  async function outcome(id: string, changed: number | undefined): Promise<AccountChange> {
    if (changed === 1) return "done";
    const [left] = await read.select({ id: account.id }).from(account).where(eq(account.id, id));
    return left === undefined ? "gone" : "last-administrator";
  }

  async function writeFailure(entry: AuditEntry, isAccount: boolean): Promise<void> {
    const { words, first } = failures[isAccount ? "known" : "unknown"].take(entry);
    if (words === null) return void (await write(auditInsert(entry)));
    const together = { ...entry, at: first, actor: "guest", ip: null, action: "log-ins failed" };
    const subject = isAccount ? "accounts" : "unknown names";
    const [changed] = await write(
      sqlBuilder
        .update(auditLog)
        .set({ detail: words.slice(0, MAX_AUDIT_TEXT) })
        .where(
          and(eq(auditLog.at, first), eq(auditLog.action, together.action), eq(auditLog.subject, subject)),
        ),
    );
    if (changed === 0) await write(auditInsert({ ...together, subject, detail: words }));
  }

  return {
    async count() {
      const [row] = await read.select({ accounts: count() }).from(account);
      return row?.accounts ?? 0;
    },

    async byLogin(login) {
      // A login that cannot exist takes the same query, so that the answer takes the same time.
      const [row] = await read
        .select({ ...accountColumns, passwordHash: account.passwordHash })
        .from(account)
        .where(eq(account.login, login.slice(0, MAX_LOGIN + 1)));
      return row ?? null;
    },

    async create({ login, role, domains, passwordHash }) {
      if (login.trim() === "" || login.length > MAX_LOGIN) {
        throw new StoreError(
          "constraint",
          `"${login.slice(0, 80)}" cannot be a login; it takes 1 to ${MAX_LOGIN} characters`,
        );
      }
      if (RESERVED.test(login.trim())) {
        throw new StoreError("constraint", `"${login}" stands for the gateway itself; choose another login`);
      }
      const made: Account = { id: Bun.randomUUIDv7("hex", now()), login, role, domains: [...domains] };
      await write(sqlBuilder.insert(account).values({ ...made, passwordHash, createdAt: now() })).catch(
        (error: unknown) => {
          throw taken(error, `there is an account "${login}" already; choose another login`);
        },
      );
      return made;
    },

    async setPassword(id, passwordHash, proven) {
      const still = proven === undefined ? undefined : eq(account.passwordHash, proven);
      // Whoever knew the old password is out: all sessions of the account end with it.
      const [changed] = await database.commit([
        statement(
          sqlBuilder
            .update(account)
            .set({ passwordHash })
            .where(and(eq(account.id, id), still)),
        ),
        sqlStatement(sql`delete from console_session where account_id = ${id} and changes() = 1`),
      ]);
      if (changed === 0 && proven === undefined)
        throw new StoreError("constraint", `there is no account with the id "${id}"`);
      return changed === 1;
    },

    async list() {
      const sessions = read
        .select({ accountId: consoleSession.accountId, open: count().as("open") })
        .from(consoleSession)
        .where(gt(consoleSession.expiresAt, now()))
        .groupBy(consoleSession.accountId)
        .as("sessions");
      const rows = await read
        .select({ ...accountColumns, createdAt: account.createdAt, open: sessions.open })
        .from(account)
        .leftJoin(sessions, eq(sessions.accountId, account.id))
        .orderBy(account.login)
        .limit(MAX_ACCOUNTS);
      return rows.map(({ open, ...row }) => ({ ...row, sessions: open ?? 0 }));
    },

    async byId(id) {
      const [row] = await read.select(accountColumns).from(account).where(eq(account.id, id));
      return row ?? null;
    },

    async change(id, { role, domains }) {
      const keepsOne = role === "administrator" ? undefined : anotherAdministrator(id);
      const [changed] = await database.commit([
        statement(
          sqlBuilder
            .update(account)
            .set({ role, domains: [...domains] })
            .where(and(eq(account.id, id), keepsOne)),
        ),
        // Only what the account may do now counts: every page is asked for anew.
        sqlStatement(sql`delete from console_session where account_id = ${id} and changes() = 1`),
        ENDED_TOKENS,
      ]);
      return outcome(id, changed);
    },

    async remove(id) {
      const [removed] = await database.commit([
        statement(sqlBuilder.delete(account).where(and(eq(account.id, id), anotherAdministrator(id)))),
        sqlStatement(sql`delete from console_session where account_id = ${id} and changes() = 1`),
        ENDED_TOKENS,
      ]);
      return outcome(id, removed);
    },

    async createSession({ tokenHash, accountId, expiresAt, ip, proven }) {
      const createdAt = now();
      const over = sqlBuilder
        .select({ tokenHash: consoleSession.tokenHash })
        .from(consoleSession)
        .where(lte(consoleSession.expiresAt, createdAt))
        .limit(SLICE_ROWS);
      const [, made] = await database.commit([
        statement(sqlBuilder.delete(consoleSession).where(inArray(consoleSession.tokenHash, over))),
        sqlStatement(sql`insert into console_session (token_hash, account_id, created_at, expires_at, ip)
          select ${tokenHash}, id, ${createdAt}, ${expiresAt}, ${ip} from account
          where id = ${accountId} and password_hash = ${proven}`),
      ]);
      return made === 1;
    },

    async session(tokenHash, at) {
      const [row] = await read
        .select(accountColumns)
        .from(consoleSession)
        .innerJoin(account, eq(account.id, consoleSession.accountId))
        .where(and(eq(consoleSession.tokenHash, tokenHash), gt(consoleSession.expiresAt, at)));
      return row ?? null;
    },

    async endSession(tokenHash) {
      await write(sqlBuilder.delete(consoleSession).where(eq(consoleSession.tokenHash, tokenHash)));
    },

    async createToken(token) {
      if (token.name.trim() === "" || token.name.length > MAX_TOKEN_NAME) {
        throw new StoreError(
          "constraint",
          `"${token.name.slice(0, 80)}" cannot name a token; a name takes 1 to ${MAX_TOKEN_NAME} characters`,
        );
      }
      await write(sqlBuilder.insert(apiToken).values(token)).catch((error: unknown) => {
        throw taken(error, `there is a token "${token.name}" already; choose another name`);
      });
    },

    async token(tokenHash) {
      const [row] = await read
        .select({ name: apiToken.name, scope: apiToken.scope, expiresAt: apiToken.expiresAt })
        .from(apiToken)
        .innerJoin(account, eq(account.id, apiToken.accountId))
        .where(and(eq(apiToken.tokenHash, tokenHash), eq(account.role, "administrator")));
      return row ?? null;
    },

    tokens: () =>
      read
        .select({
          name: apiToken.name,
          scope: apiToken.scope,
          createdBy: apiToken.createdBy,
          createdAt: apiToken.createdAt,
          expiresAt: apiToken.expiresAt,
        })
        .from(apiToken)
        .orderBy(apiToken.name),

    async removeToken(name) {
      const [removed] = await write(sqlBuilder.delete(apiToken).where(eq(apiToken.name, name)));
      return removed === 1;
    },

    async audit(entry) {
      await write(auditInsert(entry));
    },

    auditFailedLogIn(entry, { isAccount }) {
      const written = lastFailure.then(() => writeFailure(entry, isAccount));
      lastFailure = written.catch(() => undefined);
      return written;
    },

    async auditLog({ limit, before }) {
      return read
        .select({
          id: auditLog.id,
          at: auditLog.at,
          actor: auditLog.actor,
          via: auditLog.via,
          ip: auditLog.ip,
          action: auditLog.action,
          subject: auditLog.subject,
          detail: auditLog.detail,
        })
        .from(auditLog)
        .where(
          before === undefined
            ? undefined
            : sql`(${auditLog.at}, ${auditLog.id}) < (${before.at}, ${before.id})`,
        )
        .orderBy(desc(auditLog.at), desc(auditLog.id))
        .limit(Math.min(Math.max(1, Math.floor(limit)), MAX_AUDIT_ROWS));
    },
  };
}

/** The INSERT of an audit entry, to be committed together with what it tells of. Long texts are cut. */
export function auditInsert(entry: AuditEntry): Parameters<typeof statement>[0] {
  return sqlBuilder.insert(auditLog).values({
    ...entry,
    subject: entry.subject.slice(0, MAX_AUDIT_TEXT),
    detail: entry.detail.slice(0, MAX_AUDIT_TEXT),
  });
}

function taken(error: unknown, words: string): unknown {
  return error instanceof StoreError && error.kind === "constraint"
    ? new StoreError("constraint", words, { cause: error })
    : error;
}
