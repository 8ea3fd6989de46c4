// Passwords checked at the domain's own mail server (requirement O13). Remembers what was right under a keyed hash, never in clear;
// asks a server little: the same question once, few dialogues side by side, none while it is down. Who has a place is in `login-places.ts`.
import { createHmac, randomBytes } from "node:crypto";
import { personsNetwork } from "../message/client-network.ts";
import { preparePassword } from "../message/prepared-password.ts";
import type { Clock } from "../observe/clock.ts";
import { createDownServers, DOWN_MS, type DownServersParts } from "./down-servers.ts";
import { DialogueError } from "./line-dialogue.ts";
import type { LoginAnswer } from "./login-dialogue.ts";
import { LoginPlaces } from "./login-places.ts";
import {
  type AnsweredDialogue,
  askMailServer,
  type PasswordServerAddress,
  serverName,
} from "./mail-server-dialogue.ts";

export interface MailServerQuestion {
  readonly server: PasswordServerAddress;
  /** How long a right answer is remembered, milliseconds. */
  readonly cacheMs: number;
  readonly login: string;
  readonly password: string;
  /** The client's address: one client must not take all the places to wait. */
  readonly client: string;
}

/** `busy`: too many wait for this server already. */
export type MailServerAnswer = LoginAnswer | { readonly result: "busy" };

export interface MailServerLogin {
  /** Never rejects. */
  check(question: MailServerQuestion): Promise<MailServerAnswer>;
  /** How long this password is usually refused after: a login that does not exist is refused after the same time. Milliseconds. */
  usualRefusalMs(server: PasswordServerAddress, password: string): number;
  /** Looks at no server any more. */
  close(): void;
}

const MAX_REMEMBERED = 10_000;
/** Of one login. */
const MAX_PASSWORDS = 4;
const MAX_SERVERS = 1000;
/** A program that sends the same wrong password again at once is not worth another dialogue. */
const WRONG_MS = 5000;
const FIRST_REFUSAL_MS = 50;
/** The share of a new measurement in the usual time. */
const REFUSAL_WEIGHT = 0.25;

/** What is known of one server. */
interface ServerState {
  readonly places: LoginPlaces;
  refusalMs: number;
}

/** Makes the check with nothing remembered. */
export function createMailServerLogin(options: DownServersParts): MailServerLogin {
  const { clock } = options;
  const key = randomBytes(32);
  /** Until when each right password of a login is not asked for again; 0: it was right, and another one has been right since. */
  const right = new Map<string, Map<string, number>>();
  const wrong = new Map<string, number>();
  const underWay = new Map<string, Promise<MailServerAnswer>>();
  /** Until when a client network is told of a login, without another dialogue, that the server gave no answer. */
  const unanswered = new Map<string, { readonly until: number; readonly words: string }>();
  const servers = new Map<string, ServerState>();
  const downs = createDownServers(options);

  const idOf = ({ server, login, password }: MailServerQuestion): string =>
    createHmac("sha256", key)
      .update(JSON.stringify([serverName(server), server.verifyCertificate, login.toLowerCase(), password]))
      .digest("base64");

  const whoseOf = ({ server, login }: MailServerQuestion): string =>
    JSON.stringify([serverName(server), server.verifyCertificate, login.toLowerCase()]);

  const dialogue = async (question: MailServerQuestion, state: ServerState): Promise<AnsweredDialogue> => {
    const { server } = question;
    const words = downs.wordsOf(server);
    if (words !== null) return unreached(words);
    const from = clock.now();
    try {
      const answered = await askMailServer(server, question, options);
      const { answer } = answered;
      if (answer.result === "wrong")
        state.refusalMs += (clock.now() - from - state.refusalMs) * REFUSAL_WEIGHT;
      if (answer.result === "unavailable") downs.unclear(server, answer.words);
      else downs.answered(server);
      return answered;
    } catch (error) {
      if (!(error instanceof DialogueError)) throw error;
      downs.down(server, error.message);
      return unreached(error.message);
    }
  };

  /** A place at the server for one dialogue, until its connection is gone: so long the server counts it. */
  const inTurn = async (question: MailServerQuestion, state: ServerState): Promise<MailServerAnswer> => {
    const { places } = state;
    const { client } = question;
    const asker = { login: question.login.toLowerCase(), client, network: personsNetwork(client) };
    const key = JSON.stringify([whoseOf(question), asker.network]);
    const before = unanswered.get(key);
    if (before !== undefined && before.until > clock.now())
      return { result: "unavailable", words: before.words };
    if (!(await places.enter(asker))) return { result: "busy" };
    let closed = Promise.resolve();
    try {
      const answered = await dialogue(question, state);
      closed = answered.closed;
      const { answer } = answered;
      if (answered.unanswered || answer.result === "wrong") places.suspect(asker);
      if (answered.unanswered && answer.result === "unavailable")
        remember(unanswered, key, {
          until: { until: clock.now() + DOWN_MS, words: answer.words },
          most: MAX_REMEMBERED,
        });
      return answer;
    } finally {
      void closed.then(() => places.leave(asker));
    }
  };

  const ask = async (question: MailServerQuestion, id: string): Promise<MailServerAnswer> => {
    const answer = await inTurn(question, stateOf(servers, question.server, clock));
    const whose = whoseOf(question);
    if (answer.result === "right") {
      const held = right.get(whose) ?? new Map<string, number>();
      // A password nobody has seen before: it was changed. Whoever has two, as for two devices, is asked for the other once more.
      if (!held.has(id)) for (const other of held.keys()) held.set(other, 0);
      remember(held, id, { until: clock.now() + question.cacheMs, most: MAX_PASSWORDS });
      remember(right, whose, { until: held, most: MAX_REMEMBERED });
    }
    if (answer.result === "wrong") {
      remember(wrong, id, { until: clock.now() + WRONG_MS, most: MAX_REMEMBERED });
      right.get(whose)?.delete(id);
    }
    return answer;
  };

  const isRemembered = (question: MailServerQuestion): boolean =>
    (right.get(whoseOf(question))?.get(idOf(question)) ?? 0) > clock.now();

  const checkOnce = async (question: MailServerQuestion): Promise<MailServerAnswer> => {
    const id = idOf(question);
    if (isRemembered(question)) return { result: "right" };
    if ((wrong.get(id) ?? 0) > clock.now()) return { result: "wrong" };
    const shared = underWay.get(id);
    if (shared !== undefined) return shared;
    const asked = ask(question, id).finally(() => underWay.delete(id));
    underWay.set(id, asked);
    return asked;
  };

  return {
    async check(question) {
      // No password has these, and in a protocol of lines they would begin another command.
      if (/[\0\r\n]/.test(question.login + question.password)) return { result: "wrong" };
      // A client prepares the password (RFC 4616 §2), which the gateway is here.
      const prepared = { ...question, password: preparePassword(question.password) };
      if (prepared.password === question.password || isRemembered(question)) return checkOnce(question);
      const answer = await checkOnce(prepared);
      // A server that compares octets may have it as this person's keyboard writes it.
      return answer.result === "wrong" ? checkOnce(question) : answer;
    },
    usualRefusalMs(server, password) {
      const { refusalMs } = servers.get(serverName(server)) ?? { refusalMs: FIRST_REFUSAL_MS };
      return Math.round(preparePassword(password) === password ? refusalMs : 2 * refusalMs);
    },
    close: downs.stop,
  };
}

function stateOf(
  servers: Map<string, ServerState>,
  server: PasswordServerAddress,
  clock: Clock,
): ServerState {
  const name = serverName(server);
  const known = servers.get(name);
  if (known !== undefined) return known;
  // The policy names few servers; old ones go when it was changed very often.
  for (const [other, { places }] of servers)
    if (servers.size >= MAX_SERVERS && places.idle) servers.delete(other);
  const made: ServerState = {
    places: new LoginPlaces(clock),
    refusalMs: FIRST_REFUSAL_MS,
  };
  servers.set(name, made);
  return made;
}

function unreached(words: string): AnsweredDialogue {
  return { answer: { result: "unavailable", words }, unanswered: false, closed: Promise.resolve() };
}

/** The oldest goes when there are too many. */
function remember<T>(
  answers: Map<string, T>,
  id: string,
  { until, most }: { readonly until: T; readonly most: number },
): void {
  answers.delete(id);
  answers.set(id, until);
  while (answers.size > most) {
    const oldest = answers.keys().next();
    if (oldest.done === true) return;
    answers.delete(oldest.value);
  }
}
