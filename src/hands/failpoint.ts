// Dying on purpose: a test ends *hands*, or whoever called it, at a boundary of the journal. Without SELFHEAL_TEST=1 this does nothing.

/**
 * Reads `SELFHEAL_FAILPOINT=<name>:<kill|throw|PID>`; the names are those of `listBoundaries`. `kill` is SIGKILL to
 * ourselves, at which nothing is tidied up; a number is SIGKILL to that process, and we go on.
 */
export function failpoint(environment: Readonly<Record<string, string | undefined>>): (point: string) => Promise<void> {
  const [name, way] = (environment['SELFHEAL_FAILPOINT'] ?? '').split(':');
  if (environment['SELFHEAL_TEST'] !== '1' || !name) return async () => {};
  return async (point) => {
    if (point !== name) return;
    if (/^\d+$/.test(way ?? '')) return void process.kill(Number(way), 'SIGKILL');
    if (way !== 'kill') throw new Error(`failpoint ${name}`);
    process.kill(process.pid, 'SIGKILL');
    // The signal is on its way: nothing more may happen here.
    await new Promise(() => {});
  };
}
