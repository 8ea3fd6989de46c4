// SPF beyond the published suite: names in use that the grammar leaves out, what is never asked, the clock, and what ends an evaluation.
import { describe, expect, jest, test } from "bun:test";
import { checkSpf } from "../../src/checks/check-spf.ts";
import { type Zone, zoneResolve } from "./fake-dns.ts";

const CLIENT = { ip: "192.0.2.1", helo: "mail.example.org", hostname: "gate.example.test" };

async function spf(
  sender: string,
  zone: Zone,
  changes: Partial<typeof CLIENT> = {},
): Promise<{ readonly result: string; readonly domain: string; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const { result, domain } = await checkSpf({ ...CLIENT, sender, ...changes }, zoneResolve(zone, asked));
  return { result, domain, asked };
}

const OK = ["v=spf1 ip4:192.0.2.0/28 -all"];

describe("names", () => {
  test.each([
    ["a@bounce_1.example.org", "TXT bounce_1.example.org", "pass"],
    ["a@_spf.example.org", "TXT _spf.example.org", "pass"],
    ["a@EXAMPLE.org", "TXT example.org", "pass"],
    ["a@example.org.", "TXT example.org", "pass"],
    ["a@münchen.example", "TXT xn--mnchen-3ya.example", "pass"],
    ['"a@b"@example.org', "TXT example.org", "pass"],
    ["@example.org", "TXT example.org", "pass"],
    ["a@localhost", "TXT localhost", "none"],
    ["a@[192.0.2.1]", "TXT [192.0.2.1]", "none"],
    ["a@a..example.org", "TXT a..example.org", "none"],
    [`a@${"x".repeat(64)}.example.org`, `TXT ${"x".repeat(64)}.example.org`, "none"],
    ["a@exa mple.org", "TXT exa mple.org", "none"],
  ])("%s", async (sender, name, result) => {
    expect((await spf(sender, { [name]: OK })).result).toBe(result);
  });

  test("underscores deeper down: includes, redirects, hosts, macros", async () => {
    const zone: Zone = {
      "TXT a_b.example.org": [
        "v=spf1 include:_inc.a_b.example.org exists:%{l}._x.%{d} redirect=_r.example.org",
      ],
      "TXT _inc.a_b.example.org": ["v=spf1 a:h_1.example.org -all"],
      "A h_1.example.org": ["198.51.100.7"],
      "A ann._x.a_b.example.org": ["127.0.0.2"],
      "TXT _r.example.org": ["v=spf1 ~all"],
    };
    expect((await spf("ann@a_b.example.org", zone)).result).toBe("pass");
    expect((await spf("bob@a_b.example.org", zone)).result).toBe("softfail");
    expect((await spf("bob@a_b.example.org", zone, { ip: "198.51.100.7" })).result).toBe("pass");
  });

  test("%_ makes a blank and %- its escape, and the name is asked", async () => {
    const zone: Zone = {
      "TXT example.org": ["v=spf1 exists:a%_b.%{d} exists:c%-d.%{d} -all"],
      "A c%20d.example.org": ["127.0.0.2"],
    };
    const { result, asked } = await spf("a@example.org", zone);
    expect(result).toBe("pass");
    expect(asked).toContain("A a b.example.org");
  });

  test("the null sender is judged by its HELO", async () => {
    const zone: Zone = { "TXT mail.example.org": OK };
    expect(await spf("", zone)).toMatchObject({ result: "pass", domain: "mail.example.org" });
    expect((await spf("", zone, { helo: "[192.0.2.1]" })).result).toBe("none");
    expect((await spf("", zone, { helo: "" })).result).toBe("none");
  });

  test("IPv4 in IPv6's clothes is IPv4", async () => {
    expect((await spf("a@example.org", { "TXT example.org": OK }, { ip: "::ffff:192.0.2.1" })).result).toBe(
      "pass",
    );
  });
});

describe("limits", () => {
  test("the explanation is not asked for, whatever it is", async () => {
    const zone: Zone = {
      "TXT example.org": ["v=spf1 -all exp=why.%{p}.example.org"],
      "TXT why.unknown.example.org": ["because"],
    };
    expect(await spf("a@example.org", zone)).toMatchObject({ result: "fail", asked: ["TXT example.org"] });
    // A broken one still breaks the record (RFC 7208 §6.2 with §4.6).
    expect((await spf("a@example.org", { "TXT example.org": ["v=spf1 -all exp=a%"] })).result).toBe(
      "permerror",
    );
  });

  test("ten terms that ask, two that find nothing, ten hosts of one term", async () => {
    const includes = (count: number): Zone => ({
      "TXT example.org": [
        `v=spf1 ${Array.from({ length: count }, (_, n) => `include:i${n}.example.org`).join(" ")} +all`,
      ],
      ...Object.fromEntries(
        Array.from({ length: count }, (_, n) => [`TXT i${n}.example.org`, ["v=spf1 -all"]]),
      ),
    });
    expect((await spf("a@example.org", includes(10))).result).toBe("pass");
    expect((await spf("a@example.org", includes(11))).result).toBe("permerror");
    const voids = (count: number): Zone => ({
      "TXT example.org": [
        `v=spf1 ${Array.from({ length: count }, (_, n) => `a:n${n}.example.org`).join(" ")} +all`,
      ],
    });
    expect((await spf("a@example.org", voids(2))).result).toBe("pass");
    expect((await spf("a@example.org", voids(3))).result).toBe("permerror");
    const hosts = (count: number): Zone => ({
      "TXT example.org": ["v=spf1 mx +all"],
      "MX example.org": Array.from({ length: count }, (_, n) => `10 h${n}.example.org`),
      ...Object.fromEntries(
        Array.from({ length: count }, (_, n) => [`A h${n}.example.org`, ["198.51.100.1"]]),
      ),
    });
    expect((await spf("a@example.org", hosts(10))).result).toBe("pass");
    expect((await spf("a@example.org", hosts(11))).result).toBe("permerror");
  });

  test("a record that includes itself ends", async () => {
    const { result, asked } = await spf("a@example.org", {
      "TXT example.org": ["v=spf1 include:example.org redirect=example.org"],
    });
    expect(result).toBe("permerror");
    expect(asked).toEqual(["TXT example.org"]);
  });

  test("a mail server's name that is no name is no match, and not an error of the record", async () => {
    const zone: Zone = {
      "TXT example.org": ["v=spf1 mx -all"],
      "MX example.org": ["10 localhost", "20 192.0.2.1"],
    };
    expect((await spf("a@example.org", zone)).result).toBe("fail");
  });

  test("20 s in all, then it is a temporary error", async () => {
    jest.useFakeTimers();
    try {
      const never = new Promise<string[]>(() => undefined);
      const running = checkSpf({ ...CLIENT, sender: "a@example.org" }, () => never);
      let ended = "";
      void running.then(({ result }) => {
        ended = result;
      });
      jest.advanceTimersByTime(19_900);
      for (let n = 0; n < 20; n++) await Promise.resolve();
      expect(ended).toBe("");
      jest.advanceTimersByTime(200);
      expect((await running).result).toBe("temperror");
    } finally {
      jest.useRealTimers();
    }
  });
});

describe("answers that fail", () => {
  const zone: Zone = {
    "TXT example.org": ["v=spf1 include:down.example.org ip4:192.0.2.1 -all"],
    "TXT down.example.org": null,
    "TXT early.example.org": ["v=spf1 ip4:192.0.2.1 include:down.example.org -all"],
    "TXT ptr.example.org": ["v=spf1 ptr ip4:192.0.2.1 -all"],
    "PTR 1.2.0.192.in-addr.arpa": null,
  };
  test.each([
    ["before a match", "a@example.org", "temperror"],
    ["behind a match, which counts", "a@early.example.org", "pass"],
    ["for the reverse name, which is no match", "a@ptr.example.org", "pass"],
  ])("%s", async (_, sender, result) => {
    expect((await spf(sender, zone)).result).toBe(result);
  });
});
