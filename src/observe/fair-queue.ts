// A queue whose users take turns: one with a thousand entries is not served before one with the first. No I/O.

export class FairQueue<Entry> {
  readonly #waiting = new Map<string, Entry[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(user: string, entry: Entry): void {
    const own = this.#waiting.get(user);
    if (own === undefined) this.#waiting.set(user, [entry]);
    else own.push(entry);
    this.#length++;
  }

  /** The oldest entry of the user whose turn it is, without taking it. */
  first(): Entry | undefined {
    for (const own of this.#waiting.values()) return own[0];
    return undefined;
  }

  /** Takes that entry; its user's next turn comes after everybody else's. */
  shift(): Entry | undefined {
    for (const [user, own] of this.#waiting) {
      const entry = own.shift();
      this.#waiting.delete(user);
      if (own.length > 0) this.#waiting.set(user, own);
      this.#length--;
      return entry;
    }
    return undefined;
  }

  /** Empties the queue. */
  drain(): Entry[] {
    const all = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#length = 0;
    return all;
  }
}
