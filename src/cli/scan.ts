// `selfheal scan`: detect only, on files or a pipe. JSON lines for programs as they are found; for people
// one row per problem, however often it was reported.

import { parseDuration } from '../config/values.ts';
import type { Config } from '../config/contract.ts';
import type { DetectionRow } from '../core/detection.ts';
import { oneLine } from '../core/visible.ts';
import { isWorse } from '../core/words.ts';
import type { ScanStep } from './composition.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load, note, UsageError, widthOf } from './context.ts';
import { count, paintSeverity, ProgressLine, size, table } from './output.ts';

export interface ScanCommandOptions extends CommonOptions {
  readonly since?: string;
}

export async function scan(context: CliContext, files: readonly string[], options: ScanCommandOptions): Promise<Exit> {
  const config = await configFor(context, files, options);
  const inputs = files.length > 0 ? files : await defaultInputs(context, config);
  const since = options.since === undefined ? undefined : sinceOf(options.since, context.clock.now());
  const steps = context.composition.scan({
    files: inputs,
    stdin: context.stdin,
    since,
    signal: context.signal,
    config,
  });
  const seen = options.json ? await stream(context, steps) : await summarize(context, steps);
  if (context.signal.aborted) return EXIT.interrupted;
  if (seen.problems > 0) return EXIT.usage;
  return seen.errors > 0 ? EXIT.badNews : EXIT.ok;
}

/** Named files need no configuration; a broken one must not be in the way unless it was asked for. */
async function configFor(
  context: CliContext,
  files: readonly string[],
  options: CommonOptions,
): Promise<Config | null> {
  const wanted = load(context, options, { lenient: true });
  if (options.config !== undefined || files.length === 0) return wanted;
  return wanted.catch((error: unknown) => {
    note(context, `scanning without your configuration: ${String((error as Error).message)}`);
    return null;
  });
}

async function defaultInputs(context: CliContext, config: Config | null): Promise<readonly string[]> {
  const files = config ? await context.composition.logFiles(config) : [];
  if (files.length > 0) return files;
  if (context.stdin.isTTY !== true && (config === null || config.services.length === 0)) return ['-'];
  throw new UsageError('nothing to scan: name a file, pipe a log into `selfheal scan -`, or configure `logs`');
}

/** `60m`, `2h`, or a point in time such as `2026-01-05T10:00`. */
function sinceOf(text: string, now: number): number {
  const ago = parseDuration(text);
  if (ago !== null) return now - ago;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new UsageError(`--since: expected 60m, 2h or 2026-01-05T10:00, found "${text}"`);
  return at;
}

interface Seen {
  errors: number;
  problems: number;
  lines: number;
  readonly inputs: Set<string>;
}

async function* watched(
  context: CliContext,
  steps: AsyncIterable<ScanStep>,
  seen: Seen,
): AsyncGenerator<readonly DetectionRow[]> {
  const progress = new ProgressLine(context.stderr, () => context.clock.monotonic());
  const startedAt = context.clock.monotonic();
  let doneBytes = 0;
  let current = { input: '', read: 0 };
  try {
    for await (const step of steps) {
      seen.inputs.add(step.input);
      if (step.kind === 'problem') {
        progress.clear();
        seen.problems += 1;
        note(context, `${oneLine(step.input, 500)}: ${step.message}`);
        continue;
      }
      if (step.input !== current.input) {
        doneBytes += current.read;
        current = { input: step.input, read: 0 };
      }
      current.read = step.readBytes;
      seen.lines += step.lines;
      seen.errors += step.rows.length;
      progress.update(() => {
        const part = step.totalBytes
          ? `${Math.floor((100 * step.readBytes) / step.totalBytes)} %`
          : size(step.readBytes);
        const speed = ((doneBytes + step.readBytes) / (context.clock.monotonic() - startedAt)) * 1000;
        return `${step.input}  ${part}  ${size(speed)}/s  ${count(seen.errors, 'error')}`;
      });
      if (step.rows.length > 0) yield step.rows;
    }
  } finally {
    progress.clear();
  }
}

const nothing = (): Seen => ({ errors: 0, problems: 0, lines: 0, inputs: new Set() });

async function stream(context: CliContext, steps: AsyncIterable<ScanStep>): Promise<Seen> {
  const seen = nothing();
  for await (const rows of watched(context, steps, seen)) for (const row of rows) await context.out.json(row);
  await context.out.flush();
  return seen;
}

// ---------------------------------------------------------------- for people

interface Group {
  readonly row: DetectionRow;
  times: number;
  last: DetectionRow;
}

/** Different problems kept apart; further ones are only counted. */
const MOST_GROUPS = 10_000;
const SHOWN_GROUPS = 40;

async function summarize(context: CliContext, steps: AsyncIterable<ScanStep>): Promise<Seen> {
  const seen = nothing();
  const groups = new Map<string, Group>();
  let ungrouped = 0;
  for await (const rows of watched(context, steps, seen))
    for (const row of rows) {
      const group = groups.get(row.fingerprint);
      if (group) {
        group.times += 1;
        group.last = row;
      } else if (groups.size < MOST_GROUPS) groups.set(row.fingerprint, { row, times: 1, last: row });
      else ungrouped += 1;
    }
  await printGroups(context, seen, [...groups.values()], ungrouped);
  await context.out.flush();
  return seen;
}

async function printGroups(context: CliContext, seen: Seen, groups: Group[], ungrouped: number): Promise<void> {
  const { out, colors } = context;
  const where = `${count(seen.lines, 'line')} of ${count(seen.inputs.size, 'file')}`;
  if (seen.errors === 0) {
    if (seen.problems === 0) await out.line(`${colors.green('No errors')} in ${where}.`);
    return;
  }
  groups.sort((a, b) =>
    a.row.severity === b.row.severity ? b.times - a.times : isWorse(a.row.severity, b.row.severity) ? -1 : 1,
  );
  const several = seen.inputs.size > 1;
  const rows = groups
    .slice(0, SHOWN_GROUPS)
    .map(({ row, times, last }) => [
      paintSeverity(row.severity, colors),
      row.type,
      `${times} ×`,
      row.fixable ? colors.green('fixable') : '',
      placeOf(row, last, several),
      oneLine(row.message, 400),
    ]);
  const head = ['SEVERITY', 'TYPE', 'TIMES', '', 'LINES', 'MESSAGE'].map((title) => (title ? colors.dim(title) : ''));
  for (const line of table([head, ...rows], widthOf(context))) await out.line(line);
  const more = groups.length - SHOWN_GROUPS;
  if (more > 0 || ungrouped > 0)
    await out.line(
      colors.dim(
        `… and ${count(Math.max(0, more), 'more problem')}${ungrouped > 0 ? ` (${ungrouped} occurrences beyond ${MOST_GROUPS} problems)` : ''}; --json lists everything`,
      ),
    );
  await out.line();
  await out.line(`${count(seen.errors, 'error')}, ${count(groups.length, 'problem')}, in ${where}.`);
}

function placeOf(first: DetectionRow, last: DetectionRow, several: boolean): string {
  const file = several ? `${oneLine(first.file ?? '-', 40)}:` : '';
  return first === last ? `${file}${first.line}` : `${file}${first.line}…${last.line}`;
}
