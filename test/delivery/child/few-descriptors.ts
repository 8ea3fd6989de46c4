// A process of its own with few descriptors: mail for many destinations, whose connections all rest. Prints what became of it.

import { createRestingLinks } from "../../../src/delivery/resting-links.ts";
import { attemptFor, makeDeliverer, routes } from "../deliverer-fixture.ts";

const [port, destinations, most] = process.argv.slice(2).map(Number);
const deliverer = makeDeliverer({ resting: createRestingLinks(most) });
const counts: Record<string, number> = {};
for (let n = 0; n < (destinations ?? 0); n++) {
  const destination = { ...routes({ port: port ?? 0 }), key: `d${n}.example` };
  const [outcome] = await deliverer.attempt(attemptFor(destination));
  const what = outcome?.result === "delivered" ? "delivered" : (outcome?.text ?? "nothing");
  counts[what] = (counts[what] ?? 0) + 1;
}
console.log(JSON.stringify(counts));
await deliverer.close(0);
process.exit(0);
