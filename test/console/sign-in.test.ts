// Set-up, log-in, sessions: who gets in, who does not, and what it costs to try.
import { describe, expect, test } from "bun:test";
import { createConsole } from "../../src/console/create-console.ts";
import { clientKey, createAttemptThrottle } from "../../src/console/security/attempt-throttle.ts";
import { hashToken, IDLE_MS, SESSION_COOKIE } from "../../src/console/security/sessions.ts";
import { guestBrowser } from "./console-browser.ts";
import { ADMIN_PASSWORD, fakeGateway } from "./fake-services.ts";

const GOOD = "silver-lantern-otter-52";

async function freshConsole() {
  const gateway = await fakeGateway({ fresh: true });
  return { gateway, app: createConsole(gateway.services) };
}

describe("set-up", () => {
  test("the code makes the first administrator, who is logged in at once; then the door is closed", async () => {
    const { gateway, app } = await freshConsole();
    const browser = guestBrowser(app);
    expect((await browser.get("/login")).headers.get("Location")).toBe("/setup");
    expect(await (await browser.get("/setup")).text()).toContain("Set-up code");
    const form = { code: " K7MP 2xq9-vv4d ", login: "root@example.test", password: GOOD, again: GOOD };
    const made = await browser.post("/setup", form);
    expect(made.headers.get("Location")).toBe("/");
    expect(gateway.accounts.map(({ login, role }) => [login, role])).toEqual([
      ["root@example.test", "administrator"],
    ]);
    expect(gateway.accounts[0]?.passwordHash).toStartWith("$argon2id$");
    const overview = await (await browser.get("/")).text();
    expect(overview).toContain("You are the administrator");
    expect(overview).toContain("Add your first domain");
    expect(gateway.auditEntries.map((entry) => entry.action)).toEqual([
      "administrator created with a set-up code",
    ]);

    const late = guestBrowser(app, "192.0.2.66");
    expect((await late.get("/setup")).headers.get("Location")).toBe("/login");
    expect((await late.post("/setup", { ...form, login: "late@example.test" })).status).toBe(403);
    expect(gateway.accounts).toHaveLength(1);
  });

  test("with a code from `admin reset` makes a further administrator, and the others still log in", async () => {
    const gateway = await fakeGateway();
    let code: string | null = "AAAA-BBBB-CCCC";
    const accounts = { ...gateway.services.accounts };
    const app = createConsole({ ...gateway.services, accounts, setupCode: () => code });
    const browser = guestBrowser(app);
    expect(await (await browser.get("/login")).text()).toContain('<a href="/setup">Use the set-up code</a>');
    const form = { code: "aaaabbbbcccc", login: "ADMIN@example.test", password: GOOD, again: GOOD };
    expect(await (await browser.post("/setup", form)).text()).toContain(
      "There is an account with this login already",
    );
    expect((await browser.post("/setup", { ...form, login: "second@example.test" })).status).toBe(303);
    expect(gateway.accounts.map((account) => account.login)).toContain("second@example.test");
    code = null;
    const other = guestBrowser(app, "192.0.2.77");
    expect(
      (await other.post("/login", { login: "admin@example.test", password: ADMIN_PASSWORD })).status,
    ).toBe(303);
  });

  test("two browsers at the same moment make one administrator", async () => {
    const { gateway, app } = await freshConsole();
    const form = { code: "k7mp-2xq9-vv4d", password: GOOD, again: GOOD };
    const answers = await Promise.all([
      guestBrowser(app, "192.0.2.1").post("/setup", { ...form, login: "one@example.test" }),
      guestBrowser(app, "192.0.2.2").post("/setup", { ...form, login: "two@example.test" }),
    ]);
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([303, 403]);
    expect(gateway.accounts).toHaveLength(1);
  });

  test("wrong codes are counted and then wait; the right one is refused while waiting", async () => {
    const { gateway, app } = await freshConsole();
    const browser = guestBrowser(app);
    const form = { login: "root@example.test", password: GOOD, again: GOOD };
    for (let i = 0; i < 5; i++) {
      expect((await browser.post("/setup", { ...form, code: `guess-${i}` })).status).toBe(422);
    }
    const limited = await browser.post("/setup", { ...form, code: "k7mp-2xq9-vv4d" });
    expect(limited.status).toBe(429);
    expect(Number(limited.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(gateway.accounts).toHaveLength(0);
    gateway.clock.set(gateway.clock.now() + 10_000);
    expect((await browser.post("/setup", { ...form, code: "k7mp-2xq9-vv4d" })).status).toBe(303);
  });

  test.each([
    ["a common password", { password: "password123", again: "password123" }, "This password is too weak"],
    ["a short password", { password: "x9!Kw", again: "x9!Kw" }, "at least 10 are needed"],
    ["the login as password", { password: "root@example.test", again: "root@example.test" }, "too weak"],
    ["two different passwords", { password: GOOD, again: `${GOOD}x` }, "The two passwords differ."],
    ["no login", { login: " ", password: GOOD, again: GOOD }, "Use a mail address or a name"],
  ])("%s is refused with the reason, and the password is not echoed", async (_name, typed, reason) => {
    const { gateway, app } = await freshConsole();
    const form = { code: "k7mp-2xq9-vv4d", login: "root@example.test", ...typed };
    const response = await guestBrowser(app).post("/setup", form);
    const markup = await response.text();
    expect(response.status).toBe(422);
    expect(markup).toContain(reason);
    if (form.login !== form.password) expect(markup).not.toContain(`value="${form.password}"`);
    expect(gateway.accounts).toHaveLength(0);
  });

  test("the strength is told while typing, to people who may set a password only", async () => {
    const { app } = await freshConsole();
    const told = await (await guestBrowser(app).post("/password-strength", { password: "letmein" })).text();
    expect(told).toContain("Too weak");
    expect(told).toContain('class="meter-words weak"');
    const later = createConsole((await fakeGateway()).services);
    const untold = await guestBrowser(later).post("/password-strength", { password: "letmein" });
    expect([untold.status, await untold.text()]).toEqual([204, ""]);
  });
});

describe("log-in", () => {
  test("the right password starts a session of which only the hash is stored", async () => {
    const gateway = await fakeGateway();
    const browser = guestBrowser(createConsole(gateway.services));
    const form = { login: "Admin@example.test", password: ADMIN_PASSWORD, next: "/queue" };
    const response = await browser.post("/login", form);
    expect(response.headers.get("Location")).toBe("/queue");
    const cookie = response.headers.get("Set-Cookie") ?? "";
    expect(cookie).toMatch(
      /^__Host-gatepost-session=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
    const token = browser.cookies.get(SESSION_COOKIE) ?? "";
    expect([...gateway.sessions.keys()]).toEqual([hashToken(token)]);
    expect(gateway.auditEntries.at(-1)).toMatchObject({
      action: "log-in",
      actor: "admin@example.test",
      ip: "192.0.2.10",
    });
    expect((await browser.get("/queue")).status).toBe(200);
  });

  test("a wrong password and an unknown login get the same answer, in about the same time", async () => {
    const gateway = await fakeGateway();
    const app = createConsole(gateway.services);
    const attempt = async (login: string, ip: string) => {
      const started = performance.now();
      const response = await guestBrowser(app, ip).post("/login", { login, password: "wrong" });
      return { status: response.status, text: await response.text(), ms: performance.now() - started };
    };
    await attempt("warm-up@example.test", "192.0.2.20");
    const known = await attempt("admin@example.test", "192.0.2.21");
    const unknown = await attempt("nobody@example.test", "192.0.2.22");
    expect(known.status).toBe(401);
    expect(unknown.status).toBe(401);
    expect(unknown.text.replaceAll("nobody@", "admin@")).toBe(known.text);
    // An answer without a hash being computed would take about a millisecond.
    expect(unknown.ms).toBeGreaterThan(known.ms / 4);
    expect(gateway.auditEntries.at(-1)).toMatchObject({
      action: "log-in failed",
      subject: "nobody@example.test",
    });
    expect(gateway.sessions.size).toBe(0);
  });

  test("failures make the client wait longer and longer, also when sent side by side, whatever it tries", async () => {
    const gateway = await fakeGateway();
    const app = createConsole(gateway.services);
    const guesser = guestBrowser(app, "198.51.100.7");
    const attempts = Array.from({ length: 12 }, (_, i) =>
      guesser.post("/login", { login: "admin@example.test", password: `guess ${i}` }),
    );
    const statuses = (await Promise.all(attempts)).map((response) => response.status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(3);
    expect(statuses.filter((status) => status === 429)).toHaveLength(9);
    const right = { login: "admin@example.test", password: ADMIN_PASSWORD };
    expect((await guesser.post("/login", right)).status).toBe(429);
    gateway.clock.set(gateway.clock.now() + 2000);
    expect((await guesser.post("/login", right)).status).toBe(303);
    // One client with many logins waits as well.
    const spray = guestBrowser(app, "203.0.113.6");
    const sprayed: number[] = [];
    for (let i = 0; i < 5; i++)
      sprayed.push((await spray.post("/login", { login: `u${i}`, password: "x" })).status);
    expect(sprayed).toEqual([401, 401, 401, 429, 429]);
  });

  test("a stranger cannot make the administrator wait; many strangers for seconds, and never where one logged in before", async () => {
    const gateway = await fakeGateway();
    const app = createConsole(gateway.services);
    const right = { login: "admin@example.test", password: ADMIN_PASSWORD };
    const guess = (ip: string) =>
      guestBrowser(app, ip).post("/login", { login: "admin@example.test", password: "guess" });
    expect((await guestBrowser(app, "203.0.113.5").post("/login", right)).status).toBe(303);
    for (let i = 0; i < 3; i++) expect((await guess("198.51.100.1")).status).toBe(401);
    expect((await guess("198.51.100.1")).status).toBe(429);
    expect((await guestBrowser(app, "203.0.113.9").post("/login", right)).status).toBe(303);
    // The success above began the count of the account anew.
    const statuses: number[] = [];
    for (let i = 2; i < 40; i++) statuses.push((await guess(`198.51.100.${i}`)).status);
    expect(statuses.indexOf(429)).toBe(30);
    expect((await guestBrowser(app, "203.0.113.5").post("/login", right)).status).toBe(303);
    const away = await guestBrowser(app, "203.0.113.77").post("/login", right);
    expect(away.status).toBe(429);
    expect(Number(away.headers.get("Retry-After"))).toBeLessThanOrEqual(4);
    gateway.clock.set(gateway.clock.now() + 4000);
    expect((await guestBrowser(app, "203.0.113.77").post("/login", right)).status).toBe(303);
  });

  test.each([
    "//evil.example.org",
    "/\\evil.example.org",
    "https://evil.example.org/",
    "javascript:alert(1)",
    "/a\nb",
  ])("never leads away: %j", async (next) => {
    const browser = guestBrowser(createConsole((await fakeGateway()).services));
    const response = await browser.post("/login", {
      login: "admin@example.test",
      password: ADMIN_PASSWORD,
      next,
    });
    expect(response.headers.get("Location")).toBe("/");
  });
});

describe("sessions", () => {
  async function loggedIn() {
    const gateway = await fakeGateway();
    const browser = guestBrowser(createConsole(gateway.services));
    await browser.post("/login", { login: "admin@example.test", password: ADMIN_PASSWORD });
    return { gateway, browser };
  }

  test("end when idle; a page that refreshes itself does not keep them alive", async () => {
    const { gateway, browser } = await loggedIn();
    const start = gateway.clock.now();
    gateway.clock.set(start + IDLE_MS - 1000);
    expect((await browser.get("/messages", { "X-Live": "1", "HX-Request": "true" })).status).toBe(200);
    gateway.clock.set(start + IDLE_MS + 1000);
    const ended = await browser.get("/messages", { "X-Live": "1", "HX-Request": "true" });
    expect(ended.status).toBe(401);
    expect(ended.headers.get("HX-Redirect")).toBe("/login");
    expect(gateway.sessions.size).toBe(0);
  });

  test("end at the latest after twelve hours, however busy", async () => {
    const { gateway, browser } = await loggedIn();
    const start = gateway.clock.now();
    for (let hour = 1; hour < 12; hour++) {
      gateway.clock.set(start + hour * 3_600_000);
      expect((await browser.get("/messages")).status).toBe(200);
    }
    gateway.clock.set(start + 12 * 3_600_000 + 1);
    expect((await browser.get("/messages")).status).toBe(303);
  });

  test("end with log-out, and a made-up or cut token opens nothing", async () => {
    const { browser } = await loggedIn();
    const token = browser.cookies.get(SESSION_COOKIE) ?? "";
    expect((await browser.post("/logout")).headers.get("Location")).toBe("/login");
    for (const guess of [token, token.slice(1), "", "x".repeat(43), "x".repeat(5000)]) {
      browser.cookies.set(SESSION_COOKIE, guess);
      expect((await browser.get("/messages")).status).toBe(303);
    }
  });

  test("a new password needs the present one, is judged, and ends all other sessions", async () => {
    const { gateway, browser } = await loggedIn();
    const other = guestBrowser(createConsole(gateway.services), "192.0.2.99");
    await other.post("/login", { login: "admin@example.test", password: ADMIN_PASSWORD });
    expect(
      (await browser.post("/account/password", { current: "wrong", new: GOOD, again: GOOD })).status,
    ).toBe(422);
    const weak = await browser.post("/account/password", {
      current: ADMIN_PASSWORD,
      new: "abc",
      again: "abc",
    });
    expect(await weak.text()).toContain("at least 10");
    const form = { current: ADMIN_PASSWORD, new: GOOD, again: GOOD };
    expect((await browser.post("/account/password", form)).status).toBe(303);
    expect((await browser.get("/account")).status).toBe(200);
    expect((await other.get("/account")).status).toBe(303);
  });

  test.each(["own change", "log-in"])(
    "a %s under way does not outlive a password that was set anew",
    async (way) => {
      const { gateway, browser } = await loggedIn();
      const account = gateway.accounts[0];
      if (account === undefined) throw new Error("there is no account");
      const { accounts } = gateway.services;
      const { byLogin } = accounts;
      // Between what it was proven against and what it writes: the password is set by somebody else.
      gateway.services.accounts.byLogin = async (login) => {
        const found = await byLogin(login);
        const before = found === null ? null : { ...found };
        await accounts.setPassword(account.id, "$argon2id$set-anew");
        return before;
      };
      const answer =
        way === "log-in"
          ? await browser.post("/login", { login: account.login, password: ADMIN_PASSWORD })
          : await browser.post("/account/password", { current: ADMIN_PASSWORD, new: GOOD, again: GOOD });
      expect(answer.headers.get("Location")).toBe(way === "log-in" ? null : "/login");
      expect(answer.status).toBe(way === "log-in" ? 401 : 303);
      expect(account.passwordHash).toBe("$argon2id$set-anew");
      expect((await browser.get("/account")).status).toBe(303);
    },
  );
});

describe("attempt throttle", () => {
  test("doubles the wait up to its limit and forgets after an hour", () => {
    let now = 0;
    const throttle = createAttemptThrottle(
      { now: () => now, after: () => () => undefined },
      { freeAttempts: 2, maxWaitMs: 8000 },
    );
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      throttle.take(["k"]);
      const wait = throttle.take(["k"]);
      waits.push(wait);
      now += wait;
    }
    expect(waits).toEqual([0, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
    now += 3_600_001;
    expect(throttle.take(["k"])).toBe(0);
  });

  test("stays bounded when flooded with keys", () => {
    const throttle = createAttemptThrottle(
      { now: () => 0, after: () => () => undefined },
      { freeAttempts: 1, maxWaitMs: 1000 },
    );
    for (let i = 0; i < 30_000; i++) throttle.take([`key ${i}`]);
    expect(throttle.take(["key 0"])).toBe(0);
    expect(throttle.take(["key 29999"])).toBe(1000);
  });

  test("takes the /64 of an IPv6 client as one", () => {
    expect(clientKey("2001:db8:1:2:aaaa::1")).toBe(clientKey("2001:db8:1:2:ffff:0:0:9"));
    expect(clientKey("2001:db8::1")).not.toBe(clientKey("2001:db8:0:1::1"));
    expect(clientKey("::ffff:192.0.2.1")).toBe("client 192.0.2.1");
  });
});
