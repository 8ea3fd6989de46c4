// Web hooks against real servers on the loopback: answers, redirects, silence, floods, bad certificates, nobody there.
import { afterAll, expect, test } from "bun:test";
import { createServer } from "node:net";
import { postWebHook, type WebHookRequest } from "../../src/hooks/post-web-hook.ts";

const seen: { method: string; path: string; headers: Headers; body: string }[] = [];
let floodSent = 0;
const bomb = Bun.gzipSync(new Uint8Array(200_000_000));
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const url = new URL(request.url);
    seen.push({
      method: request.method,
      path: url.pathname + url.search,
      headers: request.headers,
      body: await request.text(),
    });
    const status = /^\/status\/(\d+)$/.exec(url.pathname)?.[1];
    if (status !== undefined) return new Response("x".repeat(1000), { status: Number(status) });
    if (url.pathname === "/redirect") return Response.redirect(`${url.origin}/status/200`, 302);
    if (url.pathname === "/flood") {
      const chunk = new Uint8Array(16_384);
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await Bun.sleep(1);
            floodSent += chunk.length;
            controller.enqueue(chunk);
          },
        }),
      );
    }
    if (url.pathname === "/bomb") {
      return new Response(bomb, { headers: { "content-encoding": "gzip" } });
    }
    return new Response("ok");
  },
});
afterAll(() => server.stop(true));

const base = `http://127.0.0.1:${server.port}`;
const post = (path: string, changes: Partial<WebHookRequest> = {}): WebHookRequest => ({
  url: `${base}${path}`,
  method: "POST",
  headers: { "content-type": "application/json", "x-gatepost-event": "test" },
  body: '{"a":"ü"}',
  ...changes,
});

test("sends what it is given and says what was answered", async () => {
  expect(await postWebHook(post("/hook?key=secret"))).toEqual({
    ok: true,
    status: 200,
    retry: false,
    words: `${base} answered 200`,
  });
  const { method, path, headers, body } = seen.at(-1) ?? { headers: new Headers() };
  expect({ method, path, body }).toEqual({ method: "POST", path: "/hook?key=secret", body: '{"a":"ü"}' });
  expect(headers.get("content-type")).toBe("application/json");
  expect(headers.get("x-gatepost-event")).toBe("test");
  expect((await postWebHook(post("/sms?text=a%20b", { method: "GET", headers: {}, body: null }))).ok).toBe(
    true,
  );
  expect(seen.at(-1)).toMatchObject({ method: "GET", path: "/sms?text=a%20b", body: "" });
});

test("tells what may pass from what will not", async () => {
  for (const [status, retry] of [
    [400, false],
    [404, false],
    [408, true],
    [429, true],
    [500, true],
    [503, true],
  ] as const) {
    const answer = await postWebHook(post(`/status/${status}`));
    expect(answer).toMatchObject({ ok: false, status, retry });
    expect(answer.words).toContain(`${base} answered ${status}`);
  }
  expect(await postWebHook(post("/status/204"))).toMatchObject({ ok: true, status: 204 });
});

test("follows no redirect", async () => {
  const before = seen.length;
  const answer = await postWebHook(post("/redirect"));
  expect(answer).toMatchObject({ ok: false, status: 302, retry: false });
  expect(answer.words).toContain("a redirect, which is not followed");
  expect(seen.slice(before).map(({ path }) => path)).toEqual(["/redirect"]);
});

test("an endless answer is cut off, a packed one is not unpacked", async () => {
  expect(await postWebHook(post("/flood"))).toMatchObject({ ok: true, status: 200 });
  await Bun.sleep(50);
  const sent = floodSent;
  await Bun.sleep(100);
  expect(floodSent).toBe(sent);
  const before = process.memoryUsage.rss();
  expect(await postWebHook(post("/bomb"))).toMatchObject({ ok: true, status: 200 });
  expect(process.memoryUsage.rss() - before).toBeLessThan(100_000_000);
});

test("silence ends with the time limit, and says so", async () => {
  const silent = createServer((socket) => socket.on("error", () => undefined));
  await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", resolve));
  const address = silent.address();
  const port = typeof address === "object" ? address?.port : 0;
  const answer = await postWebHook(post("", { url: `http://127.0.0.1:${port}/?key=secret` }), {
    timeoutMs: 200,
  });
  expect(answer).toEqual({
    ok: false,
    status: null,
    retry: true,
    words: `http://127.0.0.1:${port} gave no answer within 0.2 seconds`,
  });
  silent.close();
});

test("nobody there, no such name, no address, a certificate nobody signed: in words, without the secrets of the path", async () => {
  const gone = await postWebHook(post("", { url: "http://127.0.0.1:1/?key=secret" }));
  expect(gone).toMatchObject({ ok: false, status: null, retry: true });
  expect(gone.words).toContain("http://127.0.0.1:1 cannot be reached");
  expect(gone.words).not.toContain("secret");
  const wrong = await postWebHook(post("", { url: "ftp://example.org/x" }));
  expect(wrong).toMatchObject({ ok: false, retry: false });
  expect(wrong.words).toContain("is not a web address");

  const key = Bun.spawnSync(
    [
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
    ].concat([...["-subj", "/CN=localhost", "-keyout", "-", "-out", "-"]]),
  ).stdout.toString();
  using tls = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key, cert: key },
    fetch: () => new Response("ok"),
  });
  const untrusted = await postWebHook(post("", { url: `https://127.0.0.1:${tls.port}/` }));
  expect(untrusted).toMatchObject({ ok: false, status: null });
  expect(untrusted.words).toContain("has a certificate that is not trusted");
});
