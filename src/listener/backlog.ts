// The queue of connections the kernel holds until they are accepted. Bun's node:net ignores `backlog` and always asks for 512;
// a burst beyond it waits a second or more for TCP's retransmissions. listen(2) on a listening socket changes its queue.
import { dlopen } from "bun:ffi";
import type { Server } from "node:net";

/** The kernel caps it at net.core.somaxconn, 4096 by default. */
const BACKLOG = 4096;

function descriptorOf(server: Server): number | null {
  const handle: unknown = Reflect.get(server, "_handle");
  if (typeof handle !== "object" || handle === null) return null;
  const fd: unknown = Reflect.get(handle, "fd");
  return typeof fd === "number" && fd > 2 ? fd : null;
}

/** Deepens the queue of a listening server. Where it cannot (another libc, another runtime), false: the server works all the same. */
export function deepenBacklog(server: Server): boolean {
  const fd = descriptorOf(server);
  if (fd === null) return false;
  try {
    const libc = dlopen("libc.so.6", { listen: { args: ["int", "int"], returns: "int" } });
    return libc.symbols.listen(fd, BACKLOG) === 0;
  } catch {
    return false;
  }
}
