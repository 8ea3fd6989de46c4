// How many connections a listener has, in all and of each client. Counts only.

export interface ClientCounts {
  enter(ip: string): void;
  leave(ip: string): void;
  all(): number;
  of(ip: string): number;
}

/** Makes empty counts. Memory is bound by the number of open connections. */
export function createClientCounts(): ClientCounts {
  const counts = new Map<string, number>();
  let all = 0;
  return {
    enter(ip) {
      all++;
      counts.set(ip, (counts.get(ip) ?? 0) + 1);
    },
    leave(ip) {
      all--;
      const left = (counts.get(ip) ?? 1) - 1;
      if (left === 0) counts.delete(ip);
      else counts.set(ip, left);
    },
    all: () => all,
    of: (ip) => counts.get(ip) ?? 0,
  };
}
