// Knows what real work goes on in a bench of the queue, and waits until there is none.

/** Real work that is under way: the clock is only turned when there is none. */
export class Busy {
  #count = 0;
  #life = 0;
  #onRest: (() => void)[] = [];

  async track<T>(work: Promise<T>): Promise<T> {
    const life = this.#life;
    this.#count++;
    try {
      return await work;
    } finally {
      if (life === this.#life && --this.#count === 0) this.#tellRest();
    }
  }

  #tellRest(): void {
    for (const resolve of this.#onRest.splice(0)) resolve();
  }

  /** After a crash nobody waits for what was under way. */
  forget(): void {
    this.#count = 0;
    this.#life++;
    this.#tellRest();
  }

  /** Waits without turning the event loop: the database's thread needs the processor meanwhile. */
  async rest(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      if (this.#count > 0) await new Promise<void>((resolve) => this.#onRest.push(resolve));
      await new Promise<void>((resolve) => setImmediate(resolve));
      quiet = this.#count === 0 ? quiet + 1 : 0;
    }
  }
}
