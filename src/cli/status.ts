// `status`: how selfheal itself is.

import type { StatusAnswer } from '../answers.ts';
import { statusLines } from '../chat/render.ts';
import { answer } from './answer.ts';
import { span } from './output.ts';
import { ask, type CliContext, type CommonOptions, EXIT, type Exit } from './context.ts';

export function status(context: CliContext, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const found = await operations.status();
    await answer(context, options, found, (status, { now }) => [
      ...statusLines(status, now),
      ...nextLines(status, now),
    ]);
    return exitOf(found);
  });
}

const DUE_WORDS: Readonly<Record<StatusAnswer['due'][number]['what'], string>> = {
  attempt: 'is tried again in',
  verdict: 'counts as fixed, if it stays away, in',
  lapse: 'the question lapses in',
  unsilenced: 'is told about again in',
};
const DUE_SHOWN = 10;

/** What happens when nobody does anything. */
function nextLines({ daemon, due }: StatusAnswer, now: number): readonly string[] {
  const left = (at: string): string => span(Date.parse(at) - now);
  const when = (at: string): string => (Date.parse(at) - now < 500 ? 'now' : `in ${left(at)}`);
  const lines = [
    ...(daemon.nextCycleAt ? [`  next check ${when(daemon.nextCycleAt)}; logs are read all the time`] : []),
    ...due.slice(0, DUE_SHOWN).map(({ incident, what, at }) => `  #${incident} ${DUE_WORDS[what]} ${left(at)}`),
    ...(due.length > DUE_SHOWN ? [`  and ${due.length - DUE_SHOWN} more`] : []),
  ];
  return lines.length > 0 ? ['', 'Next:', ...lines] : [];
}

function exitOf(status: StatusAnswer): Exit {
  if (!status.daemon.running) return EXIT.unreachable;
  const blind = status.sources.some((source) => source.blindSince !== null);
  return status.paused || status.breaker.open || blind || status.outbox.failed > 0 ? EXIT.badNews : EXIT.ok;
}
