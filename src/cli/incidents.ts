// `incidents` as rows and `incident ID` with everything that is known about it.

import { answer, lookOf, outward } from './answer.ts';
import { ask, type CliContext, type CommonOptions, EXIT, type Exit, UsageError } from './context.ts';
import { incidentTable, incidentText } from './render.ts';

export function incidents(context: CliContext, options: CommonOptions & { readonly all?: boolean }): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const rows = await operations.incidents({ all: options.all ?? false });
    if (options.json) for (const row of rows) await context.out.json(outward(row));
    else if (rows.length === 0) await context.out.line(options.all ? 'No incidents yet.' : 'No open incidents.');
    else for (const line of incidentTable(rows, lookOf(context))) await context.out.line(line);
    return EXIT.ok;
  });
}

export function incident(context: CliContext, id: string, options: CommonOptions): Promise<Exit> {
  return ask(context, options, async (operations) => {
    const detail = await operations.incident(id);
    if (!detail) throw new UsageError(`there is no incident ${id}; \`selfheal incidents --all\` lists them`);
    await answer(context, options, detail, incidentText);
    return EXIT.ok;
  });
}
