// A map of bounded size for keys that strangers make up: what was not set for the longest time is forgotten, half of it at once. Setting
// costs the same however full it is; taking single old keys off the front of a Map does not.

export interface RecentMap<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): boolean;
  /** Oldest half first. */
  keys(): string[];
  readonly size: number;
}

/** Makes an empty one that holds at most `maxKeys` and at least the last half of that. */
export function createRecentMap<V>(maxKeys: number): RecentMap<V> {
  const half = Math.max(1, Math.floor(maxKeys / 2));
  let young = new Map<string, V>();
  let old = new Map<string, V>();
  return {
    get: (key) => young.get(key) ?? old.get(key),
    set(key, value) {
      if (young.size >= half && !young.has(key)) {
        old = young;
        young = new Map();
      }
      young.set(key, value);
      if (old.size > 0) old.delete(key);
    },
    delete(key) {
      const wasYoung = young.delete(key);
      return old.delete(key) || wasYoung;
    },
    keys: () => [...old.keys(), ...young.keys()],
    get size() {
      return old.size + young.size;
    },
  };
}
