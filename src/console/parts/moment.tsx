// Points in time on a page: short to read, exact when pointed at.
import { fullTime, relative, shortTime } from "../words/time.ts";
import { useView } from "./view-context.tsx";

/** A point in time. `style`: `short` (14:03:22), `full` (with the date), `relative` (3 min ago). */
export function Moment({
  at,
  style = "short",
}: {
  readonly at: number;
  readonly style?: "short" | "full" | "relative";
}) {
  const { zone, nowMs } = useView();
  const exact = `${fullTime(at, zone)} ${zone}`;
  const text =
    style === "full"
      ? fullTime(at, zone)
      : style === "relative"
        ? relative(at, nowMs)
        : shortTime(at, zone, nowMs);
  return (
    <time datetime={new Date(at).toISOString()} title={exact}>
      {text}
    </time>
  );
}
