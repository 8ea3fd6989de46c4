// The unix socket in the data directory through which commands talk to the running gateway.
// Who may open the file may do everything: it is readable by its owner alone (mode 0600).
import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../observe/log.ts";
import { CONTROL_SOCKET, type ControlCommand, type ControlHandlers } from "./control.ts";

// A checked message may be as large as the largest one accepted, in base64.
const MAX_BODY_BYTES = 256 * 1024 * 1024;

function isCommand(name: string, handlers: ControlHandlers): name is ControlCommand {
  return Object.hasOwn(handlers, name);
}

async function answer<Name extends ControlCommand>(
  name: Name,
  handlers: ControlHandlers,
  ask: unknown,
): Promise<Response> {
  // The other end is this very program; the question's shape is checked by the parser behind each handler.
  const result = await handlers[name](ask as Parameters<ControlHandlers[Name]>[0]);
  return Response.json({ ok: true, answer: result });
}

/** Opens the socket. Throws when it cannot be made. Returns the way to close it. */
export function serveControl(options: {
  readonly dataDir: string;
  readonly handlers: ControlHandlers;
  readonly log: Log;
}): () => Promise<void> {
  const path = join(options.dataDir, CONTROL_SOCKET);
  rmSync(path, { force: true });
  const server = Bun.serve({
    unix: path,
    maxRequestBodySize: MAX_BODY_BYTES,
    async fetch(request, self) {
      // A backup may take minutes before its answer comes.
      self.timeout(request, 0);
      const name = new URL(request.url).pathname.slice(1);
      try {
        if (!isCommand(name, options.handlers)) {
          return Response.json({
            ok: false,
            error: `The running gateway does not know the command "${name}".`,
          });
        }
        return await answer(name, options.handlers, await request.json());
      } catch (error) {
        options.log.error({ err: error, command: name }, "a command failed");
        const why = error instanceof Error ? error.message : String(error);
        return Response.json({ ok: false, error: `The command "${name}" failed: ${why}` });
      }
    },
  });
  chmodSync(path, 0o600);
  return async () => {
    await server.stop(true);
    rmSync(path, { force: true });
  };
}
