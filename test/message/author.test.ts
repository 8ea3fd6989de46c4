// Who wrote it: every form of the table, read once.
import { expect, test } from "bun:test";
import { summarise } from "../../src/message/summary.ts";
import { AUTHOR_FORMS, writeForm } from "../session/author-forms.ts";

const OWN = "ann@corp.example";
const OTHER = "ceo@victim.example";

test.each(AUTHOR_FORMS.map((one) => [one.name, one] as const))("%s", (_, { form, reads, sound }) => {
  const header = writeForm(form, { own: OWN, other: OTHER });
  const summary = summarise(Buffer.concat([header, Buffer.from("\r\nSubject: x\r\n\r\nbody\r\n")]));
  const found: string[] = [];
  if (summary.fromAddresses.some((address) => address === OWN)) found.push("own");
  if (summary.fromAddresses.some((address) => address === OTHER)) found.push("other");
  const failed = summary.fromFlaw !== null || summary.fromAddresses.length !== 1;
  expect({ found, sound: !failed, flaw: summary.fromFlaw }).toEqual({
    found: [...reads],
    sound,
    flaw: sound ? null : summary.fromFlaw,
  });
});

test("there are enough of them", () => {
  expect(AUTHOR_FORMS.length).toBeGreaterThanOrEqual(60);
  expect(new Set(AUTHOR_FORMS.map(({ form }) => form)).size).toBe(AUTHOR_FORMS.length);
});

test("the hosts of a route are asked about too", () => {
  const { fromAddresses } = summarise(
    Buffer.from("From: <@victim.example,@b.example:ann@corp.example>\r\n\r\n"),
  );
  expect(fromAddresses as readonly string[]).toEqual([
    "ann@corp.example",
    "unreadable@victim.example",
    "unreadable@b.example",
  ]);
});
