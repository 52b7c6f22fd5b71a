// `rules test FILE [LOG]`: do the user's own rules do what their samples say, and what do they find?

import type { Facts } from '../core/facts.ts';
import { oneLine } from '../core/visible.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, UsageError, widthOf } from './context.ts';
import { count, paintSeverity, table } from './output.ts';

export async function test(
  context: CliContext,
  file: string,
  log: string | undefined,
  options: CommonOptions,
): Promise<Exit> {
  const text = log === undefined ? null : await readLog(context, log);
  const { rows, problems } = await context.composition.testRules(file, text);
  if (options.json) await context.out.json({ ok: problems.length === 0, problems, detections: rows });
  else {
    for (const problem of problems) await context.out.line(`${context.colors.red('✗')} ${oneLine(problem, 1000)}`);
    if (problems.length === 0) await context.out.line(`${context.colors.green('✓')} ${file}: all samples behave`);
    const found = rows.map((row) => [
      String(row.line),
      paintSeverity(row.severity, context.colors),
      row.type,
      row.rule,
      oneLine([row.message, ...factWords(row.facts)].join('  '), 400),
    ]);
    for (const line of table(found, widthOf(context))) await context.out.line(line);
    if (text !== null) await context.out.line(`${count(rows.length, 'error')} found.`);
  }
  return problems.length > 0 ? EXIT.badNews : EXIT.ok;
}

/** What the named groups of the pattern have caught, and what any record may say. */
function factWords(facts: Facts): readonly string[] {
  return Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
}

/** A test log is read whole; a big one belongs into `scan`. */
const MOST_BYTES = 64 * 1024 * 1024;

async function readLog(context: CliContext, log: string): Promise<string> {
  const { createReadStream } = await import('node:fs');
  const { resolve } = await import('node:path');
  const stream = log === '-' ? context.stdin : createReadStream(resolve(context.cwd, log));
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of stream as AsyncIterable<Uint8Array>) {
      size += part.length;
      if (size > MOST_BYTES)
        throw new UsageError(`${log} is larger than 64 MiB; use \`selfheal scan\` with \`rules:\``);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${log} cannot be read: ${(error as Error).message}`);
  }
  return Buffer.concat(parts).toString('utf8');
}
