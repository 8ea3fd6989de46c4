// Who has connected is told at once, by the address of the client itself.
import { expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { openTrialGateway, trialPolicy } from "./trial-gateway.ts";

async function heardOf(first: string, options: { readonly proxy: boolean }): Promise<readonly string[]> {
  const heard: string[] = [];
  const proxies = options.proxy ? { proxy_from: ["127.0.0.0/8"] } : {};
  await using gateway = await openTrialGateway({
    policy: trialPolicy({ listener: [{ name: "mx", listen: "127.0.0.1:0", tls: "none", ...proxies }] }),
    onClient: (ip) => void heard.push(ip),
  });
  const socket = connect(gateway.port(), "127.0.0.1");
  await once(socket, "connect");
  socket.write(first);
  for (let n = 0; n < 100 && heard.length === 0; n++) await Bun.sleep(20);
  socket.destroy();
  return heard;
}

test("a client is heard of when it connects, before it has said anything", async () => {
  expect(await heardOf("", { proxy: false })).toEqual(["127.0.0.1"]);
});

test("behind a proxy it is the client that is heard of", async () => {
  const header = "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n";
  expect(await heardOf(header, { proxy: true })).toEqual(["192.0.2.7"]);
});
