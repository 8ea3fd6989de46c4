// An administrator of a running gateway, made with a set-up code as people do it: sends forms of the console and asks the JSON API.
import { askConsole, setUpWith, setupCodeIn } from "../run/gateway-kit.ts";
import type { RunningGateway } from "./run-gateway.ts";

export interface RunningConsole {
  /** A form of a page, sent back; the page that answers it, or "" after a redirect. */
  post(path: string, form?: Readonly<Record<string, string>>): Promise<string>;
  /** The JSON API with a token that may write. Throws with the answer's words unless it is 2xx. */
  api<Answer>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<Answer>;
}

/** Makes an administrator and an API token on a gateway. */
export async function runConsole(gateway: RunningGateway): Promise<RunningConsole> {
  const { out } = await gateway.command("admin", "reset");
  const cookie = await setUpWith(gateway, setupCodeIn(out), "admin@example.test");
  if (cookie === null) throw new Error(`no administrator was made with the code in "${out}"`);
  const post: RunningConsole["post"] = async (path, form = {}) => {
    const answer = await askConsole(gateway, path, { cookie, form });
    const text = await answer.text();
    if (!answer.ok && answer.status !== 303)
      throw new Error(`POST ${path}: ${answer.status} ${text.slice(0, 500)}`);
    return text;
  };
  const token = /gp_[A-Za-z0-9_-]{20,}/.exec(await post("/tokens", { name: "tests", scope: "write" }))?.[0];
  return {
    post,
    async api<Answer>(method: string, path: string, body?: unknown) {
      const answer = await fetch(`https://127.0.0.1:${gateway.consolePort}/api/v1${path}`, {
        method,
        tls: { rejectUnauthorized: false },
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
      return (text === "" ? null : JSON.parse(text)) as Answer;
    },
  };
}
