// `demo`: two small agents, twelve real faults, healed while you watch.

import { type CliContext, type CommonOptions, EXIT, type Exit, UsageError } from './context.ts';

export async function demo(context: CliContext, options: CommonOptions): Promise<Exit> {
  if (options.json) throw new UsageError('demo is for people: it has no --json');
  const { colors } = context;
  const healed = await context.composition.demo({
    write: (text) => void context.stdout.write(text),
    paint: { dim: colors.dim, bold: colors.bold, good: colors.green, bad: colors.red, accent: colors.cyan },
    signal: context.signal,
  });
  if (context.signal.aborted) return EXIT.interrupted;
  return healed ? EXIT.ok : EXIT.badNews;
}
