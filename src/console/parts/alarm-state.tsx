// The state of something that is on while an alarm stands for it: what is wrong, since when, and the ways out of it.
import type { AlarmPlace } from "../alarm-places.ts";
import type { Alarm } from "../services.ts";
import { Badge } from "./badge.tsx";
import { Foreign } from "./foreign-text.tsx";
import { Moment } from "./moment.tsx";
import { Notice } from "./notice.tsx";

interface Told {
  readonly alarm: Alarm;
  /** Pages that mend it, but the one it is told on. */
  readonly places: readonly AlarmPlace[];
}

function Words({ alarm, places }: Told) {
  return (
    <>
      Since <Moment at={alarm.since} style="short" />: <Foreign text={alarm.words} max={400} />
      {places.map(({ href, action }) => (
        <>
          {" "}
          <a href={href}>{action}</a>
        </>
      ))}
    </>
  );
}

/** In a row of a list. */
export function AlarmState({ label, ...told }: Told & { readonly label: string }) {
  return (
    <>
      <Badge tone="bad">{label}</Badge>
      <span class="under">
        <Words {...told} />
      </span>
    </>
  );
}

/** On the page where it is set. */
export function AlarmNotices({ alarms }: { readonly alarms: readonly Alarm[] }) {
  return (
    <>
      {alarms.map((alarm) => (
        <Notice tone="warn">
          <Words alarm={alarm} places={[]} />
        </Notice>
      ))}
    </>
  );
}
