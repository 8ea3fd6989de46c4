// A scan worker that breaks on purpose: the body of a message says how. Everything else it answers as the real one does.
import type { ScanOrder, ScanReply } from "../../src/checks/scan-protocol.ts";
import { small } from "../message/small-body.ts";

declare const self: Worker;

self.onmessage = (event: MessageEvent<ScanOrder>) => {
  const order = event.data;
  if (order.kind === "dns") return;
  if (order.kind !== "scan") return say({ kind: "parsed", id: order.id, findings: [], failure: null });
  const text = small(order.raw).toString();
  const findings = [["structure", [{ check: "structure", fact: "structure.parts", value: 1 }]]] as const;
  if (text.includes("hang")) for (;;);
  if (text.includes("die")) process.exit(1);
  if (text.includes("throw")) throw new Error("broken on purpose");
  if (text.includes("refuse"))
    return say({ kind: "parsed", id: order.id, findings: [], failure: "refused on purpose" });
  say({ kind: "parsed", id: order.id, findings: order.content.length === 0 ? [] : findings, failure: null });
  if (order.authentication === null || text.includes("silent")) return;
  if (text.includes("late-loop")) {
    setTimeout(() => {
      for (;;);
    }, 20);
    return;
  }
  // Long enough that a neighbour's failure falls into it.
  setTimeout(() => say({ kind: "authenticated", id: order.id, findings: [["spf", []]], failure: null }), 100);
};

function say(reply: ScanReply): void {
  self.postMessage([reply]);
}

say({ kind: "ready" });
