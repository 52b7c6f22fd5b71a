// `status`: how selfheal itself is.

import type { StatusAnswer } from '../answers.ts';
import { statusLines } from '../chat/render.ts';
import { answer } from './answer.ts';
import { ask, type CliContext, type CommonOptions, EXIT, type Exit } from './context.ts';

export function status(context: CliContext, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const found = await operations.status();
    await answer(context, options, found, (status, { now }) => statusLines(status, now));
    return exitOf(found);
  });
}

function exitOf(status: StatusAnswer): Exit {
  if (!status.daemon.running) return EXIT.unreachable;
  const blind = status.sources.some((source) => source.blindSince !== null);
  return status.paused || status.breaker.open || blind || status.outbox.failed > 0 ? EXIT.badNews : EXIT.ok;
}
