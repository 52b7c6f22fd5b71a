// `why TEXT-or-ID`: which rule matched, which nearly did, and what made the fingerprint.

import { whyLines } from '../chat/render-incident.ts';
import { answer } from './answer.ts';
import { ask, type CliContext, type CommonOptions, EXIT, type Exit } from './context.ts';

export function why(context: CliContext, text: string, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    await answer(context, options, await operations.why(text), whyLines);
    return EXIT.ok;
  });
}
