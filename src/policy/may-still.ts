// The right to change settings, asked once more when a change is about to be written: passwords are worked out for a minute, and changes
// wait for each other. Whoever was thrown out meanwhile changes nothing any more.
import type { Actor, PolicyProblem } from "./settings.ts";

export const NO_MORE: PolicyProblem = {
  path: "",
  message: "who asked for it was removed, logged out or lost the right meanwhile: nothing was changed",
};

export function mayStill(actor: Actor): Promise<boolean> {
  return actor.mayStill?.() ?? Promise.resolve(true);
}
