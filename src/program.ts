// The process behind the command line: its arguments, environment, streams and signals, and what each
// command needs, loaded when it is needed. The only other file that reads them is nobody's.

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { main } from './cli/main.ts';
import type { Composition, ScanRequest, ScanStep } from './cli/composition.ts';
import { redact } from './core/redact.ts';
import { systemClock } from './host/clock.ts';
import { createLog } from './telemetry/log.ts';

/** Exit code after an error that nobody caught; EX_SOFTWARE of sysexits.h. */
const FAULT = 70;
/** Closing everything may take this long after such an error: thirty seconds. */
const LAST_ORDERS_MS = 30_000;
const FAULTS_SAID = 5;

/** Runs the command of this process; resolves with its exit code. */
export async function runProgram(): Promise<number> {
  const told = untilTold();
  const faults = stopAtFaults(told);
  const code = await main({
    argv: process.argv.slice(2),
    cwd: process.cwd(),
    environment: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    clock: systemClock,
    signal: told.signal,
    version: version(),
    composition,
  });
  return faults.seen > 0 ? FAULT : code;
}

/**
 * An error that nobody caught leaves us in an unknown state: it is said, everything is closed, and the exit code makes
 * whoever runs us start us anew.
 */
function stopAtFaults(told: AbortController): { readonly seen: number } {
  const faults = { seen: 0 };
  const log = createLog({
    stream: process.stderr,
    clock: systemClock,
    json: process.argv.includes('--json'),
    redact,
  });
  // Also gets promises that were rejected and that nobody awaits.
  process.on('uncaughtException', (error: unknown) => {
    // A line that cannot be written is such an error too: that must not go on for ever.
    faults.seen += 1;
    if (faults.seen <= FAULTS_SAID)
      log.error('an error that nobody caught; stopping', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    if (faults.seen === 1) setTimeout(() => process.exit(FAULT), LAST_ORDERS_MS).unref();
    told.abort();
  });
  return faults;
}

/** Aborts at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
function untilTold(): AbortController {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (controller.signal.aborted && name === 'SIGINT') process.exit(130);
      controller.abort();
    });
  return controller;
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return version;
}

const environment = process.env;

const composition: Composition = {
  loadConfig: async (options) => (await import('./config/load.ts')).loadConfig(options),
  warnings: async (config) => (await import('./config/warnings.ts')).warningsOf(config, environment),
  createApp: async (config, log, sight) => {
    // A daemon lives long and allocates little: without this V8 keeps the 30 MB of new space that its start has used.
    setFlagsFromString('--semi-space-growth-factor=1');
    const { SelfHealingMonitor } = await import('./monitor.ts');
    return new SelfHealingMonitor({ config, environment, log, ...sight });
  },
  openOperations: async (config) => (await import('./app.ts')).openOperations({ config, environment }),
  logFiles: async (config) => {
    const { filesMatching } = await import('./config/discover.ts');
    const found = await Promise.all(config.services.flatMap(({ logs }) => logs.map(filesMatching)));
    return [...new Set(found.flat())];
  },
  scan: scanFiles,
  doctor: async function* (config, signal) {
    yield* (await import('./doctor.ts')).examine({ config, environment, signal, clock: systemClock });
  },
  drill: async function* (wish) {
    yield* (await import('./drill.ts')).drill({ ...wish, environment });
  },
  testRules: async (file, text) => (await import('./test-rules.ts')).testRules(file, text),
  openGateway: async (config, log) => {
    const [{ gatewayStart }, { runGateway }, { startModel }] = await Promise.all([
      import('./gateway/spec.ts'),
      import('./gateway/run.ts'),
      import('./start-model.ts'),
    ]);
    return runGateway({
      ...(await gatewayStart(config, environment)),
      clock: systemClock,
      startModel,
      onEvent: (event) => log.info('gateway', { event: event.kind }),
      problem: (message, error) => log.error(message, { error }),
    });
  },
  gatewayEnvironment: async (config, service) => {
    const { gatewayAddress } = await import('./gateway/spec.ts');
    return gatewayAddress(config, environment, service);
  },
  demo: async ({ write, paint, signal }) => {
    const { fileURLToPath } = await import('node:url');
    const { runDemo } = await import('./demo/demo.ts');
    const { silentLog } = await import('./telemetry/log.ts');
    const result = await runDemo({
      examples: fileURLToPath(new URL('../examples', import.meta.url)),
      environment,
      print: (line) => write(`${line}\n`),
      paint,
      log: silentLog,
      signal,
    });
    return result.healed === result.faults;
  },
};

async function* scanFiles({ files, stdin, since, signal, config }: ScanRequest): AsyncGenerator<ScanStep> {
  const [{ scan }, { createDetector }, { detectionRow }] = await Promise.all([
    import('./scan.ts'),
    import('./detector.ts'),
    import('./core/detection.ts'),
  ]);
  const steps = scan({
    detector: await createDetector(config, environment),
    inputs: files.map((path) =>
      path === '-' ? { kind: 'stream', name: 'stdin', stream: stdin } : { kind: 'file', path },
    ),
    ...(since !== undefined && { since }),
    signal,
  });
  for await (const step of steps) {
    if (step.kind === 'problem') yield step;
    else {
      const { detections, ...rest } = step;
      yield { ...rest, rows: detections.map(detectionRow) };
    }
  }
}
