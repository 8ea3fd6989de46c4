// The alarm about connections says which it is: one client has its share, or there is no place for anybody.
import { expect, test } from "bun:test";
import { createConnectionRoom } from "../../src/listener/connection-room.ts";

function room() {
  const told: (string | null)[] = [];
  const standing = new Set<string>();
  const onAlarm = (name: string, words: string | null) => {
    told.push(words);
    if (words === null) standing.delete(name);
    else standing.add(name);
  };
  const made = createConnectionRoom({ descriptors: 1000, onAlarm });
  const fill = (key: string): number => {
    let taken = 0;
    while (made.enter({ key, known: false })) taken++;
    return taken;
  };
  return { told, standing, fill, room: made };
}

test("one network that has its share is named; nobody is told to raise a limit that is not reached", () => {
  const { told, standing, fill, room: made } = room();
  const taken = fill("192.0.2.0/24");
  expect(taken).toBe(150);
  fill("192.0.2.0/24");
  expect(told).toHaveLength(1);
  expect(told[0]).toContain("192.0.2.0/24 has as many SMTP connections");
  expect(told[0]).toContain("150 of 400 places");
  expect(told[0]).not.toContain("too many");
  // One client brings it about: it says nothing against the gateway.
  expect([...standing]).toEqual(["connections of one client"]);
  expect(made.enter({ key: "198.51.100.0/24", known: false })).toBe(true);
});

test("when nobody new gets in, that is told once, also after the words about one client; and its end", () => {
  const { told, standing, fill, room: made } = room();
  const taken = new Map<string, number>();
  for (let n = 0; n < 200; n++) taken.set(`net ${n}`, fill(`net ${n}`));
  expect([...standing]).toEqual(["connections"]);
  expect(told).toHaveLength(3);
  expect(told[1]).toContain("There are too many SMTP connections");
  expect(told[1]).toContain("raise LimitNOFILE");
  for (const [key, count] of taken) for (let n = 0; n < count; n++) made.leave({ key, known: false });
  expect(told).toHaveLength(4);
  expect(standing.size).toBe(0);
});
