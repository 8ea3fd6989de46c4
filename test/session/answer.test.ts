// Replies on the wire: one enhanced code, no text that could split them.
import { expect, test } from "bun:test";
import { answer, wireText } from "../../src/session/answer.ts";

test("the class of the enhanced code is that of the reply", () => {
  expect(wireText(answer(550, "7.1", "Relaying denied"))).toBe("550 5.7.1 Relaying denied\r\n");
  expect(wireText(answer(334, null, ""))).toBe("334 \r\n");
});

test("further lines have no enhanced codes", () => {
  const given = { ...answer(250, null, "gate.example.test"), lines: ["PIPELINING", "SIZE 10"] };
  expect(wireText(given)).toBe("250-gate.example.test\r\n250-PIPELINING\r\n250 SIZE 10\r\n");
});

test("a text cannot split the reply", () => {
  expect(wireText(answer(550, "7.1", "no\r\n250 2.0.0 ok\u0085 für"))).toBe(
    "550 5.7.1 no??250 2.0.0 ok? f?r\r\n",
  );
});
