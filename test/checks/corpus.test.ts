// What every message of the corpus must give, through the real workers and the checks the gateway runs.
import { afterAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createChecks } from "../../src/checks/create-checks.ts";
import type { Resolver } from "../../src/dns/resolver.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type Facts, factsOf } from "../../src/rules/fact.ts";
import { envelope } from "../message/message-samples.ts";

const folder = join(import.meta.dirname, "corpus");
const nothing = async () => ({ ok: false, failure: "nxdomain", words: "no such name" }) as const;
const resolver: Resolver = { a: nothing, aaaa: nothing, mx: nothing, txt: nothing, ptr: nothing, close() {} };
const checks = createChecks({ resolver, hostname: "gate.example.test", log: silentLog, hooks: [] });
afterAll(() => checks.close());

const wanted = new Set(
  "attachments.count eicar.found gtube.found structure.parts spf.result dkim.result dmarc.result arc.result".split(
    " ",
  ),
);

const clean: Facts = {
  "attachments.dangerous": [],
  "attachments.encrypted": [],
  "attachments.mismatched": [],
  "eicar.found": false,
  "gtube.found": false,
  "structure.ambiguous": [],
  "dmarc.result": "none",
  "spf.result": "none",
};

const expected: Readonly<Record<string, Facts>> = {
  "clean.eml": { ...clean, "attachments.count": 0, "structure.parts": 1 },
  "clean-multipart.eml": {
    ...clean,
    "attachments.names": ["report.pdf"],
    "attachments.extensions": ["pdf"],
    "attachments.types": ["application/pdf"],
    "structure.parts": 5,
  },
  "eicar.eml": { ...clean, "eicar.found": true, "attachments.names": ["notes.txt"] },
  "eicar-zip.eml": {
    ...clean,
    "eicar.found": true,
    "attachments.names": ["notes.zip"],
    "attachments.extensions": ["zip", "txt"],
  },
  "gtube.eml": { ...clean, "gtube.found": true },
  "zipped-exe.eml": {
    ...clean,
    "attachments.dangerous": ["photos.zip › photos/holiday.jpg.exe"],
    "attachments.extensions": ["zip", "txt", "exe", "jpg.exe"],
    "attachments.types": ["application/zip"],
  },
  "exe-as-pdf.eml": {
    ...clean,
    "attachments.dangerous": ["invoice.pdf"],
    "attachments.mismatched": ["invoice.pdf"],
  },
  "encrypted-zip.eml": { ...clean, "attachments.encrypted": ["locked.zip › secret.doc"] },
  "two-from.eml": {
    ...clean,
    "structure.ambiguous": ["two From fields"],
    // Neither author's domain has a record: there is no policy to refuse by, and nothing is proven.
    "dmarc.result": "none",
    "dmarc.policy": "absent",
    "spf.aligned": false,
    "dkim.aligned": false,
  },
  "two-boundaries.eml": {
    ...clean,
    "attachments.dangerous": ["run.exe"],
    "structure.ambiguous": ["two boundaries for one multipart"],
  },
  "forged-results.eml": clean,
};

test("every message has its expectation", () => {
  expect(Object.keys(expected).sort()).toEqual(
    readdirSync(folder)
      .filter((name) => name.endsWith(".eml"))
      .sort(),
  );
});

test.each(Object.entries(expected))("%s", async (name, facts) => {
  const raw = readFileSync(join(folder, name));
  expect(raw.toString("latin1").replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
  expect(factsOf(await checks.run({ envelope: envelope(), raw }, wanted))).toMatchObject(facts);
});
