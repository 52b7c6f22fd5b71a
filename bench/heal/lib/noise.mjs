// What goes on in every log meanwhile: work, and people who quote errors. None of it is a fault.

const LINES = [
  ['INFO', 'finished item 4711 in 12 ms'],
  ['INFO', 'user 17 asks: what does "429 Too Many Requests" mean?'],
  ['INFO', "user 17 quotes: ModuleNotFoundError: No module named 'leftpad'"],
  ['DEBUG', 'retry policy: on ECONNREFUSED wait 200 ms, on ENOSPC give up'],
  ['INFO', 'test report: 0 errors, 0 failed, 214 passed'],
  ['INFO', 'error rate 0.0 %, queue 0, memory 41 MB'],
  ['WARNING', 'cache is cold, first answers will be slow'],
  ['INFO', 'translated "disk full" as "Platte voll"'],
];
const EVERY_MS = 400;

/** Writes a line now and then until the returned function is called. */
export function makeNoise(world) {
  let turn = 0;
  const timer = setInterval(() => {
    const [level, text] = LINES[turn++ % LINES.length];
    world.line(level, text);
  }, EVERY_MS);
  return () => clearInterval(timer);
}
