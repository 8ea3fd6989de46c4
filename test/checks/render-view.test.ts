// The viewer's view of a message: what a person needs, and nothing that runs, loads, sends or escapes its place.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cleanHtml, renderView } from "../../src/checks/render-view.ts";
import { createScanPool } from "../../src/checks/scan-pool.ts";
import { silentLog } from "../../src/observe/log.ts";
import { message } from "../message/message-samples.ts";
import { processorMs } from "../message/processor-time.ts";
import { zoneResolve } from "./fake-dns.ts";
import { multipart } from "./mime-samples.ts";

const corpus = (name: string) => readFileSync(join(import.meta.dirname, "corpus", name));

test("through a worker: header, text, html, attachments", async () => {
  const pool = createScanPool({ resolve: zoneResolve({}), log: silentLog, workers: 1 });
  try {
    const view = await pool.view(corpus("clean-multipart.eml"));
    expect(view).toMatchObject({
      text: expect.stringContaining("the report costs 5€"),
      html: expect.stringContaining("<p>Hello Bob, the <b>report</b>.</p>"),
      attachments: [{ name: "report.pdf", type: "application/pdf" }],
      problem: null,
    });
    expect(view.headers).toContainEqual({ name: "Subject", value: "Report for November" });
  } finally {
    await pool.close();
  }
});

const hostile: readonly string[] = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  '<img src="https://track.example/p.gif">',
  '<a href="javascript:alert(1)">x</a>',
  '<a href="java&#10;script:alert(1)">x</a>',
  '<a href="data:text/html,<script>alert(1)</script>">x</a>',
  '<a href="//evil.example">x</a>',
  '<form action="https://evil.example"><input name=password><button>go</button></form>',
  '<iframe src="https://evil.example"></iframe><object data=x></object><embed src=x>',
  "<svg><script>alert(1)</script><image href=https://evil.example/x /></svg>",
  "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
  "<style>@import 'https://evil.example/x.css'; body{background:url(https://evil.example)}</style>",
  '<p style="position:fixed;top:0;background:url(https://evil.example/x)">x</p>',
  '<p style="background-color:expression(alert(1))">x</p>',
  '<p style="width:100000px;margin:-9999px;z-index:99">x</p>',
  '<td background="https://evil.example/x">x</td>',
  '<link rel=stylesheet href="https://evil.example"><meta http-equiv=refresh content="0;url=https://evil.example"><base href="https://evil.example">',
  '<video src="https://evil.example" poster="https://evil.example"></video><audio src="https://evil.example">',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
  '<div id="console" class="admin" name="x" onclick=alert(1)>x</div>',
];
test.each(hostile)("cleaned: %s", (html) => {
  const clean = cleanHtml(html);
  expect(clean).not.toMatch(
    /<(?:script|img|iframe|object|embed|svg|math|style|form|input|button|link|meta|base|video|audio)/i,
  );
  expect(clean).not.toMatch(
    /\son\w+=|javascript:|data:|url\(|expression|position|z-index|margin|src=|background=|id=|class=/i,
  );
  expect(clean).not.toMatch(/evil\.example|track\.example/);
});

test("what is harmless stays, links open apart", () => {
  const html =
    '<p style="color:red">a <a href="https://example.org/?a=1&amp;b=2">link</a> <img src="https://t.example/x" alt="logo"></p>';
  expect(cleanHtml(html)).toBe(
    '<p style="color:red">a <a href="https://example.org/?a=1&amp;b=2" rel="noopener noreferrer nofollow" target="_blank">link</a> <span>[logo]</span></p>',
  );
});

test("what is too large or too strange says so", async () => {
  const wide = multipart(Array.from({ length: 2000 }, () => ({ header: [], body: "x" })));
  expect((await renderView(wide)).problem).toContain("more than 1000 parts");
  const big = message(["Content-Type: text/html"], `<p>${"x".repeat(1_100_000)}</p>`);
  expect(await renderView(big)).toMatchObject({ html: "", problem: expect.stringContaining("longer than") });
  const nested = message(["Content-Type: text/html"], "<div>".repeat(150_000));
  const started = processorMs();
  expect((await renderView(nested)).html.length).toBeLessThan(1_000_000);
  expect(processorMs() - started).toBeLessThan(8000);
  expect(await renderView(new Uint8Array())).toMatchObject({ headers: [], text: "", problem: null });
});
