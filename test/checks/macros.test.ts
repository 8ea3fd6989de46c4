// Documents with macros, built as Office and OpenDocument programs build them; the same without macros; and broken ones.
import { describe, expect, test } from "bun:test";
import CFB from "cfb";
import fc from "fast-check";
import { scanMessage } from "../../src/checks/scan-message.ts";
import type { FactValue } from "../../src/rules/fact.ts";
import { processorMs } from "../message/processor-time.ts";
import { attached, multipart, zip } from "./mime-samples.ts";

async function macrosOf(name: string, bytes: Uint8Array): Promise<FactValue | undefined> {
  const found = await scanMessage(multipart([attached(name, bytes)]), ["macros"]);
  return found.get("macros")?.find(({ fact }) => fact === "attachments.macros")?.value;
}

const text = (value: string): Buffer => Buffer.from(value);

/** An OLE file with these streams, by path. */
function ole(streams: Readonly<Record<string, Uint8Array>>): Buffer {
  const file = CFB.utils.cfb_new();
  for (const [path, bytes] of Object.entries(streams)) CFB.utils.cfb_add(file, path, Buffer.from(bytes));
  return Buffer.from(CFB.write(file, { type: "buffer" }) as Uint8Array);
}

const VBA_PROJECT = ole({
  "/PROJECT": text('ID="{0}"\r\nModule=Module1\r\n'),
  "/VBA/_VBA_PROJECT": Buffer.from([0xcc, 0x61, 0xff, 0xff, 0, 0, 0]),
  "/VBA/dir": Buffer.alloc(600, 1),
  "/VBA/Module1": Buffer.alloc(900, 2),
});

function contentTypes(...types: readonly string[]): { readonly name: string; readonly data: Buffer } {
  const overrides = types.map((type, i) => `<Override PartName="/p${i}" ContentType="${type}"/>`);
  return { name: "[Content_Types].xml", data: text(`<Types>${overrides.join("")}</Types>`) };
}
const RELS = { name: "_rels/.rels", data: text("<Relationships/>") };
const DOCUMENT = { name: "word/document.xml", data: text("<w:document/>") };
const DOCX = zip([contentTypes(), RELS, DOCUMENT]);
const DOCM = zip([contentTypes(), RELS, DOCUMENT, { name: "word/vbaProject.bin", data: VBA_PROJECT }]);

/** A BIFF8 record. */
function record(id: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(data.length, 2);
  return Buffer.concat([head, data]);
}
/** The globals of a workbook with one sheet of the kind (0: cells, 1: macros). `filler` octets stand before the list of sheets. */
function workbook(kind: number, filler = 0): Buffer {
  return Buffer.concat([
    record(0x0809, Buffer.from([0, 6, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    ...Array.from({ length: Math.ceil(filler / 8000) }, () => record(0x00e0, Buffer.alloc(8000))),
    record(0x0085, Buffer.from([0, 0, 0, 0, 0, kind, 1, 0, 0x41])),
    record(0x000a, Buffer.alloc(0)),
  ]);
}
const VBA_INFO = Buffer.from([2, 0, 0, 4, 12, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);

const ODF_TYPE = { name: "mimetype", data: text("application/vnd.oasis.opendocument.text") };
const CONTENT = { name: "content.xml", data: text("<office:document-content/>") };
const MODULE = text('<script:module script:name="Module1">Sub Main\nEnd Sub</script:module>');

const withMacros: readonly (readonly [what: string, name: string, bytes: Buffer, words: string])[] = [
  ["a Word document", "a.docm", DOCM, "VBA macros"],
  ["one called harmless", "a.docx", DOCM, "VBA macros"],
  ["one called text", "a.txt", DOCM, "VBA macros"],
  [
    "a project under another name",
    "a.docx",
    zip([contentTypes(), DOCUMENT, { name: "word/x.dat", data: VBA_PROJECT }]),
    "VBA macros",
  ],
  [
    "a project told by its content type",
    "a.xlsx",
    zip([contentTypes("application/vnd.ms-office.vbaProject"), { name: "xl/x", data: text("?") }]),
    "VBA macros",
  ],
  [
    "content types in UTF-16",
    "a.xlsx",
    zip([
      { name: "[Content_Types].xml", data: Buffer.from("application/vnd.ms-office.vbaProject", "utf16le") },
    ]),
    "VBA macros",
  ],
  [
    "an Excel 4 sheet in xlsx",
    "a.xlsx",
    zip([contentTypes(), { name: "xl/macrosheets/sheet1.xml", data: text("<m/>") }]),
    "Excel 4 macros",
  ],
  [
    "an Excel 4 sheet told by its content type",
    "a.xlsx",
    zip([contentTypes("application/vnd.ms-excel.intlmacrosheet+xml")]),
    "Excel 4 macros",
  ],
  [
    "a Word 97 document",
    "a.doc",
    ole({
      "/WordDocument": Buffer.alloc(5000),
      "/Macros/VBA/_VBA_PROJECT": text("x"),
      "/Macros/VBA/dir": text("y"),
    }),
    "VBA macros",
  ],
  [
    "an Excel 97 document",
    "a.xls",
    ole({ "/Workbook": workbook(0), "/_VBA_PROJECT_CUR/VBA/dir": text("x") }),
    "VBA macros",
  ],
  [
    "an Excel 97 macro sheet",
    "a.xls",
    ole({ "/Workbook": Buffer.concat([workbook(1), Buffer.alloc(5000)]) }),
    "Excel 4 macros",
  ],
  ["a small one, in the mini stream", "a.xls", ole({ "/Workbook": workbook(1) }), "Excel 4 macros"],
  [
    "one far behind",
    "a.xls",
    ole({ "/Other": Buffer.alloc(9000), "/Workbook": workbook(1, 300_000) }),
    "Excel 4 macros",
  ],
  [
    "an Excel 5 document",
    "a.xls",
    ole({ "/Book": Buffer.concat([workbook(1), Buffer.alloc(5000)]) }),
    "Excel 4 macros",
  ],
  [
    "PowerPoint 97 slides",
    "a.ppt",
    ole({ "/PowerPoint Document": Buffer.concat([Buffer.alloc(5000), VBA_INFO]) }),
    "VBA macros",
  ],
  [
    "an OpenDocument text",
    "a.odt",
    zip([ODF_TYPE, CONTENT, { name: "Basic/Standard/Module1.xml", data: MODULE }]),
    "Basic macros",
  ],
  [
    "an OpenDocument sheet with Python",
    "a.ods",
    zip([ODF_TYPE, CONTENT, { name: "Scripts/python/a.py", data: text("def f(): pass") }]),
    "macros in scripts",
  ],
  [
    "flat OpenDocument",
    "a.fodt",
    text(
      '<?xml version="1.0"?><office:document><office:scripts><ooo:source-code>Sub Main</ooo:source-code></office:scripts></office:document>',
    ),
    "Basic macros",
  ],
  [
    "Word 2003 XML",
    "a.xml",
    text(
      `<w:binData w:name="editdata.mso">${Buffer.from("ActiveMime\0\0\x01").toString("base64")}</w:binData>`,
    ),
    "VBA macros",
  ],
  [
    "a message of Outlook with a document in it",
    "a.msg",
    ole({ "/__attach/__substg1.0_37010102": DOCM }),
    "VBA macros",
  ],
  [
    "a document in a document",
    "a.docx",
    zip([contentTypes(), DOCUMENT, { name: "word/embeddings/oleObject1.bin", data: VBA_PROJECT }]),
    "VBA macros",
  ],
];
test.each(withMacros)("%s", async (_, name, bytes, words) => {
  const findings = (await scanMessage(multipart([attached(name, bytes)]), ["macros"])).get("macros");
  expect(findings).toEqual([
    { check: "attachments", fact: "attachments.macros", value: [name], words: `${name} has ${words}` },
  ]);
});

const without: readonly (readonly [what: string, name: string, bytes: Uint8Array])[] = [
  ["a plain docx", "a.docx", DOCX],
  ["a docm without a project", "a.docm", DOCX],
  ["a Word 97 document", "a.doc", ole({ "/WordDocument": Buffer.alloc(5000), "/1Table": text("x") })],
  ["an Excel 97 document", "a.xls", ole({ "/Workbook": Buffer.concat([workbook(0), Buffer.alloc(5000)]) })],
  ["PowerPoint slides", "a.ppt", ole({ "/PowerPoint Document": Buffer.alloc(6000) })],
  [
    "slides whose project is empty",
    "a.ppt",
    ole({
      "/PowerPoint Document": Buffer.concat([Buffer.alloc(5000), VBA_INFO.subarray(0, 12), Buffer.alloc(8)]),
    }),
  ],
  [
    "OpenDocument with empty libraries",
    "a.odt",
    zip([
      ODF_TYPE,
      CONTENT,
      { name: "Basic/Standard/script-lb.xml", data: text("<l/>") },
      { name: "Basic/script-lc.xml", data: text("<l/>") },
    ]),
  ],
  [
    "a plain zip with scripts",
    "a.zip",
    zip([
      { name: "Scripts/python/a.py", data: text("print()") },
      { name: "basic/x/y.xml", data: text("<x/>") },
    ]),
  ],
  ["a text about macros", "a.txt", text("word/vbaProject.bin _VBA_PROJECT ooo:source-code ActiveMime")],
  ["nothing", "a.doc", Buffer.alloc(0)],
];
test.each(without)("%s: none", async (_, name, bytes) => {
  expect(await macrosOf(name, bytes)).toEqual([]);
});

test("in archives, named with the archives around them, each once", async () => {
  const inner = zip([
    { name: "b.docm", data: DOCM },
    { name: "c.docx", data: DOCX },
  ]);
  const found = await macrosOf(
    "a.zip",
    zip([
      { name: "in.zip", data: inner },
      { name: "d.doc", data: VBA_PROJECT },
    ]),
  );
  expect(found).toEqual(["a.zip › in.zip › b.docm", "a.zip › d.doc"]);
});

test("a locked file is told by its name, other locked files are not", async () => {
  const locked = zip([
    { name: "b.docm", data: DOCM, flags: 1 },
    { name: "c.docx", data: DOCM, flags: 1 },
  ]);
  expect(await macrosOf("a.zip", locked)).toEqual(["a.zip › b.docm"]);
});

describe("broken files", () => {
  test("macros are found where no chain leads to them any more", async () => {
    for (const at of [44, 48, 60, 68, 76]) {
      const broken = Buffer.from(VBA_PROJECT);
      broken.writeUInt32LE(0xfffffff0, at);
      expect(await macrosOf("a.doc", broken)).toEqual(["a.doc"]);
    }
  });

  test("chains in circles and sizes beyond everything end", async () => {
    const file = ole({ "/Workbook": Buffer.concat([workbook(0, 40_000), Buffer.alloc(9000)]) });
    // Every table entry points at itself or at the first sector.
    for (const value of [0, 1, 5]) {
      const circle = Buffer.from(file);
      const table = (circle.readUInt32LE(76) + 1) * 512;
      for (let i = 0; i < 128; i++) circle.writeUInt32LE(value, table + i * 4);
      circle.writeUInt32LE(0, 68);
      circle.writeUInt32LE(0xffffffff, 72);
      expect(await macrosOf("a.xls", circle)).toEqual([]);
    }
  });

  test("any damage is survived", async () => {
    const samples = [VBA_PROJECT, ole({ "/Workbook": workbook(1) }), ole({ "/Book": workbook(1, 20_000) })];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.nat(6000), fc.nat(255)), { minLength: 1, maxLength: 40 }),
        fc.nat(12_000),
        async (sample, damage, length) => {
          const broken = Buffer.from(sample.subarray(0, Math.max(600, length)));
          for (const [at, octet] of damage) if (at >= 8 && at < broken.length) broken[at] = octet;
          expect(Array.isArray(await macrosOf("a.xls", broken))).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("a large file of nothing but directory entries takes no long time", async () => {
    const entry = Buffer.alloc(128);
    entry.write("Workbook", 0, "utf16le");
    entry.writeUInt16LE(18, 64);
    entry[66] = 2;
    entry.writeUInt32LE(0x7fffffff, 120);
    const hostile = Buffer.concat([VBA_PROJECT.subarray(0, 512), Buffer.alloc(20_000_000, entry)]);
    const started = processorMs();
    expect(await macrosOf("a.xls", hostile)).toEqual([]);
    expect(processorMs() - started).toBeLessThan(8000);
  });
});

test("nobody asked: nothing is looked for", async () => {
  const found = await scanMessage(multipart([attached("a.docm", DOCM)]), ["attachments"]);
  expect([...found.values()].flat().map(({ fact }) => fact)).not.toContain("attachments.macros");
  expect([...found.keys()]).toEqual(["attachments"]);
});
