// Counters and gauges in Prometheus' format. Counting costs an addition; nothing here does I/O.
import { Counter, Gauge, Registry } from "prom-client";

export interface Metrics {
  readonly registry: Registry;
  /** Messages by what became of the dialogue: accepted, refused, tempfailed. */
  message(outcome: "accepted" | "refused" | "tempfailed"): void;
  connection(listener: string): void;
  /** Recipients by outcome of an attempt. */
  delivery(result: "delivered" | "deferred" | "failed"): void;
  login(result: "ok" | "failed"): void;
  checkFailure(check: string): void;
  /** A figure that is read when the page is asked for. */
  gauge(name: string, help: string, read: () => number | Promise<number>): void;
}

/** Makes the metrics with a registry of their own. Names start with `gatepost_`. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const messages = new Counter({
    name: "gatepost_messages_total",
    help: "Messages by answer",
    labelNames: ["outcome"],
    registers,
  });
  const connections = new Counter({
    name: "gatepost_connections_total",
    help: "Connections by listener",
    labelNames: ["listener"],
    registers,
  });
  const deliveries = new Counter({
    name: "gatepost_deliveries_total",
    help: "Recipients by outcome of an attempt",
    labelNames: ["result"],
    registers,
  });
  const logins = new Counter({
    name: "gatepost_logins_total",
    help: "Logins by result",
    labelNames: ["result"],
    registers,
  });
  const failures = new Counter({
    name: "gatepost_check_failures_total",
    help: "Checks that broke",
    labelNames: ["check"],
    registers,
  });
  return {
    registry,
    message: (outcome) => messages.inc({ outcome }),
    connection: (listener) => connections.inc({ listener }),
    delivery: (result) => deliveries.inc({ result }),
    login: (result) => logins.inc({ result }),
    checkFailure: (check) => failures.inc({ check }),
    gauge: (name, help, read) => {
      new Gauge({
        name: `gatepost_${name}`,
        help,
        registers,
        async collect() {
          this.set(await read());
        },
      });
    },
  };
}
