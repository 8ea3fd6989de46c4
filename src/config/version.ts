// The version, written into the binary at build time.
import manifest from "../../package.json" with { type: "json" };

declare const GATEPOST_COMMIT: string | undefined;

/** `0.1.0` or `0.1.0 (1a2b3c4)`. */
export const VERSION: string =
  typeof GATEPOST_COMMIT === "string" && GATEPOST_COMMIT !== ""
    ? `${manifest.version} (${GATEPOST_COMMIT})`
    : manifest.version;
