// What a computation costs, whoever else is at work on this machine.

/** The milliseconds of the processor that this thread has had so far. Other threads and what waits are not in it. */
export function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
