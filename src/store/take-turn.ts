// Turns for work that takes milliseconds a piece on the thread that serves everybody: one piece each time round the event loop, whoever it
// is for, so that ten of them side by side hold up nobody longer than one. Knows nothing of the work.

let last: Promise<void> = Promise.resolve();

/** Resolves when it is one's turn to do a piece. */
export function takeTurn(): Promise<void> {
  last = last.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
  return last;
}
