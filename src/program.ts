// The process behind the command line: its arguments, environment, streams and signals, and what each
// command needs, loaded when it is needed. The only other file that reads them is nobody's.

import { readFileSync } from 'node:fs';
import { main } from './cli/main.ts';
import type { Composition, ScanRequest, ScanStep } from './cli/composition.ts';
import { systemClock } from './host/clock.ts';

/** Runs the command of this process; resolves with its exit code. */
export function runProgram(): Promise<number> {
  return main({
    argv: process.argv.slice(2),
    cwd: process.cwd(),
    environment: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    clock: systemClock,
    signal: untilTold(),
    version: version(),
    composition,
  });
}

/** Aborts at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
function untilTold(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (controller.signal.aborted && name === 'SIGINT') process.exit(130);
      controller.abort();
    });
  return controller.signal;
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
  createApp: async (config, log) => {
    const { SelfHealingMonitor } = await import('./monitor.ts');
    return new SelfHealingMonitor({ config, environment, log });
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
    const [{ gatewayStart }, { runGateway }] = await Promise.all([
      import('./gateway/spec.ts'),
      import('./gateway/run.ts'),
    ]);
    return runGateway({
      ...(await gatewayStart(config, environment)),
      clock: systemClock,
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
