// `drill`: rehearses fixes and says of each whether it would work here.

import { oneLine } from '../core/visible.ts';
import type { DrillResult } from './composition.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load, UsageError } from './context.ts';
import { count, ProgressLine, span } from './output.ts';

export async function drill(context: CliContext, names: readonly string[], options: CommonOptions): Promise<Exit> {
  const config = await load(context, options);
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const began = context.clock.now();
  const progress = new ProgressLine(context.stderr, () => context.clock.now());
  let place = { number: 0, total: 0 };
  try {
    for await (const step of context.composition.drill({ config, names, signal: context.signal })) {
      if (step.kind === 'begins') {
        place = step;
        progress.update(() => `rehearsing ${step.number} of ${step.total}: ${step.fix}, given that ${step.given}`);
        continue;
      }
      const { kind: _, ...result } = step;
      progress.clear();
      totals[result.passed === true ? 'passed' : result.passed === false ? 'failed' : 'skipped'] += 1;
      if (options.json) await context.out.json(result);
      else for (const line of lines(context, result, place)) await context.out.line(line);
      await context.out.flush();
    }
  } catch (error) {
    throw new UsageError((error as Error).message);
  } finally {
    progress.clear();
  }
  if (!options.json)
    await context.out.line(
      `\n${totals.passed} of ${count(place.total, 'rehearsal')} passed, ${totals.failed} failed, ${totals.skipped} skipped, in ${span(context.clock.now() - began)}`,
    );
  return totals.failed > 0 ? EXIT.badNews : EXIT.ok;
}

function lines(
  { colors }: CliContext,
  { fix, given, passed, problems }: Omit<DrillResult, 'kind'>,
  { number, total }: { readonly number: number; readonly total: number },
): readonly string[] {
  const mark = passed === true ? colors.green('✓') : passed === false ? colors.red('✗') : colors.dim('-');
  const place = colors.dim(`${String(number).padStart(String(total).length)}/${total}`);
  return [
    `${place} ${mark} ${fix}: ${oneLine(given, 200)}`,
    ...problems.map((problem) => `    ${oneLine(problem, 500)}`),
  ];
}
