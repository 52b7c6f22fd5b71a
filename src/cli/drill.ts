// `drill`: rehearses fixes and says of each whether it would work here.

import { oneLine } from '../core/visible.ts';
import type { DrillResult } from './composition.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load, UsageError } from './context.ts';
import { count } from './output.ts';

export async function drill(context: CliContext, names: readonly string[], options: CommonOptions): Promise<Exit> {
  const config = await load(context, options);
  let number = 0;
  const totals = { passed: 0, failed: 0, skipped: 0 };
  try {
    for await (const result of context.composition.drill({ config, names, signal: context.signal })) {
      totals[result.passed === true ? 'passed' : result.passed === false ? 'failed' : 'skipped'] += 1;
      if (options.json) await context.out.json(result);
      else for (const line of lines(context, result, (number += 1))) await context.out.line(line);
      await context.out.flush();
    }
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (!options.json)
    await context.out.line(
      `\n${count(totals.passed, 'rehearsal')} passed, ${totals.failed} failed, ${totals.skipped} skipped`,
    );
  return totals.failed > 0 ? EXIT.badNews : EXIT.ok;
}

function lines(
  { colors }: CliContext,
  { fix, given, passed, problems, of }: DrillResult,
  number: number,
): readonly string[] {
  const mark = passed === true ? colors.green('✓') : passed === false ? colors.red('✗') : colors.dim('-');
  const place = colors.dim(`${String(number).padStart(String(of).length)}/${of}`);
  return [
    `${place} ${mark} ${fix}: ${oneLine(given, 200)}`,
    ...problems.map((problem) => `    ${oneLine(problem, 500)}`),
  ];
}
