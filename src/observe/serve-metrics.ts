// /metrics and /healthz over plain HTTP on a local address; for the machine's own monitoring, never for the Internet.
import type { Registry } from "prom-client";

export interface Health {
  readonly ok: boolean;
  /** What is wrong, a sentence each. */
  readonly problems: readonly string[];
}

/**
 * Serves `GET /metrics` (Prometheus text) and `GET /healthz` (JSON; 200 when all is well, 503 with the problems otherwise).
 * `listen` is `address:port`. Throws when the port is taken. Returns the way to stop.
 */
export function serveMetrics(options: {
  readonly listen: string;
  readonly registry: Registry;
  readonly health: () => Health;
}): () => Promise<void> {
  const colon = options.listen.lastIndexOf(":");
  const server = Bun.serve({
    hostname: options.listen.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(options.listen.slice(colon + 1)),
    async fetch(request) {
      const path = new URL(request.url).pathname;
      if (request.method !== "GET") return new Response("Only GET is answered here.\n", { status: 405 });
      if (path === "/metrics") {
        return new Response(await options.registry.metrics(), {
          headers: { "content-type": options.registry.contentType },
        });
      }
      if (path === "/healthz") {
        const health = options.health();
        return Response.json(health, { status: health.ok ? 200 : 503 });
      }
      return new Response("Nothing here. Try /metrics or /healthz.\n", { status: 404 });
    },
  });
  return () => server.stop(true);
}
