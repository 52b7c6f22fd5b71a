// `health`, `errors`, `report`, `history` and `fix`: the chat commands, in a terminal.

import { errorsLines, fixLines, healthLines, reportLines } from '../chat/render.ts';
import type { TrustRow } from '../answers.ts';
import { answer } from './answer.ts';
import { ask, type CliContext, type CommonOptions, EXIT, type Exit, note, UsageError } from './context.ts';
import { ledgerTable } from './render.ts';

interface MinutesOptions extends CommonOptions {
  readonly minutes: number;
}

export function health(context: CliContext, options: MinutesOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const found = await operations.health({ minutes: options.minutes });
    await answer(context, options, found, healthLines);
    if (!found.watching) return EXIT.unreachable;
    return found.healthy ? EXIT.ok : EXIT.badNews;
  });
}

export function errors(context: CliContext, options: MinutesOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const found = await operations.errors({ minutes: options.minutes });
    await answer(context, options, found, errorsLines);
    return found.total > 0 ? EXIT.badNews : EXIT.ok;
  });
}

export function report(context: CliContext, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const found = await operations.report();
    await answer(context, options, found, reportLines);
    return found.open.length > 0 ? EXIT.badNews : EXIT.ok;
  });
}

export function history(context: CliContext, options: CommonOptions & { readonly limit: number }): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const found = await operations.history({ limit: options.limit });
    await answer(context, options, found, ({ rows, summary, trust }, look) => [
      `Attempted ${summary.totalFixesAttempted}, successful ${summary.successful}, failed ${summary.failed}, inconclusive ${summary.inconclusive}${
        summary.takenBack > 0 ? `, taken back by you ${summary.takenBack}` : ''
      }`,
      ...(summary.totalFixesAttempted > summary.takenBack
        ? [`Success rate ${Math.round(summary.successRate * 100)} %`]
        : []),
      ...(rows.length > 0 ? ['', ...ledgerTable(rows, look)] : []),
      ...(trust && trust.length > 0 ? ['', 'Trust that was earned', ...trust.map(trustLine)] : []),
    ]);
    return EXIT.ok;
  });
}

function trustLine({ service, fix, successes, trials, lowerBound, harmed }: TrustRow): string {
  const since = harmed === null ? '' : ` since the repair of incident ${harmed} did harm or was taken back`;
  return `  ${fix} on ${service}: ${successes} of ${trials} proven${since}, lower bound ${Math.round(lowerBound * 100)} %`;
}

export function fix(context: CliContext, id: string | null, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    if (id !== null && !(await operations.incident(id))) throw new UsageError(`there is no incident ${id}`);
    if (!options.json && context.stderr.isTTY) note(context, 'healing; this can take a while ...');
    const done = await operations.fix(id, context.person, context.signal);
    await answer(context, options, done, fixLines);
    return done.failed > 0 ? EXIT.badNews : EXIT.ok;
  });
}
