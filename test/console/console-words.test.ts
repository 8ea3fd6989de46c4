// Times, spans and amounts as people read them, and the chart's arithmetic.
import { describe, expect, test } from "bun:test";
import { ConditionHelp } from "../../src/console/pages/rule-fields.tsx";
import { roundTop } from "../../src/console/parts/stacked-bars.tsx";
import { bucketsOf } from "../../src/console/parts/volume-chart.tsx";
import { counted, listed } from "../../src/console/words/amount.ts";
import {
  fromLocalField,
  isZone,
  relative,
  shortTime,
  span,
  toLocalField,
} from "../../src/console/words/time.ts";
import { bytesInWords } from "../../src/observe/size-words.ts";
import { parseExpression } from "../../src/rules/expression.ts";

const NOON = Date.UTC(2026, 10, 21, 12, 0, 0);

describe("time", () => {
  test("is as short as it stays clear, in the reader's zone", () => {
    expect(shortTime(NOON, "UTC", NOON)).toBe("12:00:00");
    expect(shortTime(NOON, "Asia/Tokyo", NOON)).toBe("21:00:00");
    expect(shortTime(NOON - 86_400_000, "UTC", NOON)).toBe("20 Nov 12:00");
    expect(shortTime(NOON - 400 * 86_400_000, "UTC", NOON)).toBe("17 Oct 2025");
  });

  test.each(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati"])(
    "a field in %s is read as it was written",
    (zone) => {
      for (const month of [0, 3, 6, 9]) {
        const moment = Date.UTC(2026, month, 15, 7, 45);
        expect(fromLocalField(toLocalField(moment, zone), zone)).toBe(moment);
      }
    },
  );

  test("what is no time is none", () => {
    for (const text of ["", "yesterday", "2026-13-45T99:99", "2026-11-21"])
      expect(fromLocalField(text, "UTC")).toBeNull();
  });

  test("spans have at most two units", () => {
    expect([40, 400, 4000, 240_000, 7_500_000, 180_000_000].map(span)).toEqual([
      "0.04 s",
      "0.4 s",
      "4 s",
      "4 min",
      "2 h 5 min",
      "2 d 2 h",
    ]);
    expect(relative(NOON - 180_000, NOON)).toBe("3 min ago");
    expect(relative(NOON + 180_000, NOON)).toBe("in 3 min");
  });

  test("zones are checked before they are used", () => {
    expect(isZone("Europe/Berlin")).toBe(true);
    for (const zone of ["", "Mars/Base", "../etc", "<script>", "x".repeat(100)])
      expect(isZone(zone)).toBe(false);
  });
});

describe("amounts", () => {
  test("bytes, counts, lists", () => {
    expect([0, 1023, 1024, 5_000_000, 7e12].map(bytesInWords)).toEqual([
      "0 B",
      "1023 B",
      "1.0 KB",
      "4.8 MB",
      "6.4 TB",
    ]);
    expect([counted(1, "try", "tries"), counted(12_000, "message")]).toEqual(["1 try", "12,000 messages"]);
    expect([listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c", "d"])]).toEqual([
      "",
      "a",
      "a and b",
      "a, b and 2 more",
    ]);
  });
});

describe("chart", () => {
  test("has a bucket for every step, empty ones too, and loses no count", () => {
    const points = [
      { at: NOON, state: "delivered" as const, count: 5 },
      { at: NOON + 10, state: "released" as const, count: 2 },
      { at: NOON - 7_200_000, state: "refused" as const, count: 1 },
      { at: NOON - 7_200_000, state: "put-off" as const, count: 2 },
    ];
    const buckets = bucketsOf(points, { sinceMs: NOON - 10_800_000, untilMs: NOON, bucketMs: 3_600_000 });
    expect(buckets.map((bucket) => bucket.total)).toEqual([0, 3, 0, 7]);
    expect(buckets[1]?.counts).toEqual([0, 0, 0, 1, 2, 0]);
    expect(buckets[3]?.counts).toEqual([7, 0, 0, 0, 0, 0]);
  });

  test("the scale ends at a round number above the highest bar", () => {
    expect([0, 3, 5, 11, 97, 101, 1300, 99_999].map(roundTop)).toEqual([
      4, 4, 5, 12, 100, 120, 1600, 100_000,
    ]);
  });
});

test("every example beside the rule form is a condition that parses", () => {
  const markup = String(ConditionHelp());
  const examples = [...markup.matchAll(/<li><code>(.*?)<\/code>/g)].map(([, text = ""]) =>
    text.replaceAll("&quot;", '"').replaceAll("&gt;", ">").replaceAll("&lt;", "<"),
  );
  expect(examples).toHaveLength(5);
  for (const example of examples) expect(parseExpression(example)).toMatchObject({ ok: true });
});
