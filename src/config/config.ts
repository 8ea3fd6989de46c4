// The boot file and the environment, read once into a frozen Config. The only place that reads process.env.
import { existsSync, readFileSync } from "node:fs";
import { hostname as machineName } from "node:os";
import { dirname, resolve } from "node:path";
import { parse as parseToml } from "smol-toml";
import { z } from "zod";
import { parseNetwork } from "../message/address.ts";

const listenAddress = z
  .string()
  .regex(
    /^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/,
    'is not an address with a port; write it like "0.0.0.0:8443"',
  )
  .refine((text) => Number(text.slice(text.lastIndexOf(":") + 1)) <= 65_535, "has a port above 65535");

const networkText = z
  .string()
  .refine((text) => parseNetwork(text).ok, "is not an address or network like 10.0.0.5 or 10.0.0.0/24");

/** The boot file `gatepost.toml` (design.md). Everything has a default; unknown keys are refused, so that a typing error shows. */
const bootFile = z.strictObject({
  data: z.string().min(1).default("./data"),
  /** Said to every client and written into headers, so nothing but a name may stand there. */
  hostname: z
    .string()
    .max(253)
    .regex(/^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$/, "is not a host name like gate.example.com")
    .optional(),
  console: z
    .strictObject({
      listen: listenAddress.default("0.0.0.0:8443"),
      /** Reverse proxies in front of the console: their X-Forwarded-For or Forwarded says who is asking. */
      trusted_proxies: z.array(networkText).default([]),
    })
    .prefault({}),
  /** Prometheus figures and health, for the machine itself; empty switches it off. */
  metrics: z
    .strictObject({ listen: z.union([listenAddress, z.literal("")]).default("127.0.0.1:9143") })
    .prefault({}),
  dns: z.strictObject({ servers: z.array(listenAddress).default([]) }).prefault({}),
  log: z
    .strictObject({ level: z.enum(["debug", "info", "warn", "error", "silent"]).default("info") })
    .prefault({}),
  /** A policy file applied once, when the databases are new. */
  first_start: z.strictObject({ policy: z.string().min(1).optional() }).prefault({}),
});

export interface Config {
  /** Absolute path of the data directory. */
  readonly data: string;
  readonly hostname: string;
  readonly console: { readonly listen: string; readonly trustedProxies: readonly string[] };
  readonly metrics: { readonly listen: string };
  readonly dns: { readonly servers: readonly string[] };
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" | "silent" };
  /** Absolute path of the policy file for a first start, or null. */
  readonly firstPolicy: string | null;
  /** The file it was read from, or null when none was found and the defaults hold. */
  readonly file: string | null;
}

/** The boot file cannot be used; the message says which key and what to do. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const FALLBACK_FILES = ["./gatepost.toml", "/etc/gatepost/gatepost.toml"];

/** The variables with the keys of the boot file they override. An empty one says nothing, except that it switches metrics off. */
const VARIABLES = {
  GATEPOST_DATA: "data",
  GATEPOST_HOSTNAME: "hostname",
  GATEPOST_CONSOLE_LISTEN: "console.listen",
  GATEPOST_CONSOLE_TRUSTED_PROXIES: "console.trusted_proxies",
  GATEPOST_METRICS_LISTEN: "metrics.listen",
  GATEPOST_DNS_SERVERS: "dns.servers",
  GATEPOST_LOG_LEVEL: "log.level",
  GATEPOST_FIRST_POLICY: "first_start.policy",
} as const;

/** Their variables name several, with commas between. */
const LISTS: ReadonlySet<string> = new Set(["dns.servers", "console.trusted_proxies"]);

type Environment = Readonly<Record<string, string | undefined>>;

/** The variable that set a key, or null when the file did. `path`: as zod gives it, `["dns", "servers", 0]`. */
function variableFor(path: readonly PropertyKey[], env: Environment): string | null {
  const key = path.slice(0, 2).join(".");
  for (const [variable, its] of Object.entries(VARIABLES))
    if (its === key && isSet(variable, env)) return variable;
  return null;
}

function isSet(variable: string, env: Environment): boolean {
  const value = env[variable];
  return value !== undefined && (value !== "" || variable === "GATEPOST_METRICS_LISTEN");
}

/** What the file says with what the environment says over it. */
function overridden(raw: Readonly<Record<string, unknown>>, env: Environment): Record<string, unknown> {
  const result = { ...raw };
  for (const [variable, key] of Object.entries(VARIABLES)) {
    const text = env[variable];
    if (text === undefined || !isSet(variable, env)) continue;
    const value = LISTS.has(key) ? text.split(/[,\s]+/).filter((server) => server !== "") : text;
    const [section = "", name] = key.split(".");
    const before = result[section];
    result[section] =
      name === undefined ? value : { ...(typeof before === "object" ? before : {}), [name]: value };
  }
  return result;
}

function readBootFile(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`The boot file "${file}" cannot be read: ${why}`, { cause: error });
  }
  try {
    return parseToml(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`The boot file "${file}" is not valid TOML: ${why}`, { cause: error });
  }
}

/**
 * Reads the configuration.
 * `file`: the boot file asked for by name, or null to look for `./gatepost.toml`, then `/etc/gatepost/gatepost.toml`.
 * GATEPOST_CONFIG names it as well. `env` overrides what the file says (`VARIABLES`); DNS servers are separated by commas.
 * Relative paths in a file are relative to the working directory for `data` and to the file for `first_start.policy`.
 * Throws ConfigError.
 */
export function loadConfig(file: string | null, env: Environment = process.env): Config {
  const wanted =
    file ?? env.GATEPOST_CONFIG ?? FALLBACK_FILES.find((candidate) => existsSync(candidate)) ?? null;
  const raw = wanted === null ? {} : readBootFile(wanted);
  const parsed = bootFile.safeParse(overridden(raw, env));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => {
      const variable = variableFor(path, env);
      const place = path.join(".") || "(top level)";
      return `  ${variable === null ? place : `${place} (from ${variable})`}: ${message}`;
    });
    const where = wanted === null ? "The environment" : `The boot file "${wanted}", with the environment,`;
    throw new ConfigError(`${where} has mistakes:\n${problems.join("\n")}`);
  }
  const boot = parsed.data;
  const policy = boot.first_start.policy;
  return Object.freeze({
    data: resolve(boot.data),
    hostname: (boot.hostname ?? machineName()).toLowerCase(),
    console: { listen: boot.console.listen, trustedProxies: boot.console.trusted_proxies },
    metrics: boot.metrics,
    dns: boot.dns,
    log: boot.log,
    firstPolicy: policy === undefined ? null : resolve(wanted === null ? "." : dirname(wanted), policy),
    file: wanted === null ? null : resolve(wanted),
  });
}
