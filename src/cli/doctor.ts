// `doctor`: prints what the self-examination finds, as it finds it.

import type { Config } from '../config/contract.ts';
import { oneLine } from '../core/visible.ts';
import type { Finding } from './composition.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load } from './context.ts';
import { count } from './output.ts';

export async function doctor(context: CliContext, options: CommonOptions): Promise<Exit> {
  const totals = { ok: 0, warning: 0, problem: 0 };
  const tell = async (finding: Finding): Promise<void> => {
    totals[finding.state] += 1;
    if (options.json) await context.out.json(finding);
    else for (const line of lines(context, finding)) await context.out.line(line);
    await context.out.flush();
  };
  const config = await configuration(context, options, tell);
  for await (const finding of context.composition.doctor(config, context.signal)) await tell(finding);
  if (!options.json)
    await context.out.line(
      `\n${totals.ok} ok, ${count(totals.warning, 'warning')}, ${count(totals.problem, 'problem')}`,
    );
  return totals.problem > 0 ? EXIT.badNews : EXIT.ok;
}

async function configuration(
  context: CliContext,
  options: CommonOptions,
  tell: (finding: Finding) => Promise<void>,
): Promise<Config | null> {
  try {
    const config = await load(context, options);
    await tell(
      config.file === null
        ? {
            name: 'configuration',
            state: 'warning',
            text: 'there is none',
            advice: '`selfheal init` writes one; `selfheal run -- CMD` needs none',
          }
        : { name: 'configuration', state: 'ok', text: `${config.file}, ${count(config.services.length, 'service')}` },
    );
    return config;
  } catch (error) {
    await tell({ name: 'configuration', state: 'problem', text: (error as Error).message });
    return null;
  }
}

function lines(context: CliContext, finding: Finding): string[] {
  const { colors } = context;
  const marks = { ok: colors.green('✓'), warning: colors.yellow('!'), problem: colors.red('✗') };
  const text = finding.text.split('\n').map((line) => oneLine(line, 1000));
  return [
    `${marks[finding.state]} ${finding.name.padEnd(16)} ${text.join('\n                   ')}`,
    ...(finding.advice ? [colors.dim(`                   ${finding.advice}`)] : []),
  ];
}
