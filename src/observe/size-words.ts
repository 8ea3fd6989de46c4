// Octets as people read and write them. No I/O.

const UNITS = ["KB", "MB", "GB", "TB"] as const;

/** `640 B`, `4.2 KB`, `1.3 MB` (powers of 1024). */
export function bytesInWords(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes;
  let unit = "B";
  for (const next of UNITS) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Exactly, so that it can be read back: `128 MB`; octets where no unit fits. */
export function sizeText(bytes: number): string {
  for (let i = UNITS.length; i > 0; i--) {
    const size = 1024 ** i;
    if (bytes >= size && bytes % size === 0) return `${bytes / size} ${UNITS[i - 1] ?? ""}`;
  }
  return String(bytes);
}
