// `plan ID`: the dry run. Nothing is changed but the store, which remembers the plan that was shown.

import { answer } from './answer.ts';
import { ask, type CliContext, type CommonOptions, EXIT, type Exit, UsageError } from './context.ts';
import { planText } from './render.ts';

export function plan(context: CliContext, id: string, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const found = await operations.plan(id);
    if (!found) throw new UsageError(`there is no incident ${id}; \`selfheal incidents --all\` lists them`);
    await answer(context, options, found, planText);
    return found.plan && found.plan.decision.verdict !== 'refuse' ? EXIT.ok : EXIT.badNews;
  });
}
