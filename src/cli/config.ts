// `config check`: is the file right, and what does it come to?

import { type Config, ConfigError, type ConfigProblem } from '../config/contract.ts';
import { type CliContext, type CommonOptions, EXIT, type Exit, load } from './context.ts';

export async function check(context: CliContext, file: string | undefined, options: CommonOptions): Promise<Exit> {
  try {
    const config = await load(context, file === undefined ? options : { ...options, config: file });
    const warnings = await context.composition.warnings(config);
    if (options.json) await context.out.json({ ok: true, problems: [], warnings, config });
    else for (const line of [...described(context, config), ...warned(context, warnings)]) await context.out.line(line);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ConfigError) || !options.json) throw error;
    await context.out.json({ ok: false, problems: error.problems, warnings: [], config: null });
    return EXIT.usage;
  }
}

/** Nothing of this makes the file wrong. */
function warned({ colors }: CliContext, warnings: readonly ConfigProblem[]): string[] {
  if (warnings.length === 0) return [];
  const place = ({ file, line, column }: ConfigProblem): string => (line === null ? '' : `${file}:${line}:${column}: `);
  return ['', ...warnings.map((one) => `${colors.yellow('!')} ${place(one)}${one.message}`)];
}

function described(context: CliContext, config: Config): string[] {
  const { colors } = context;
  const ms = (value: number): string => `${value / 1000} s`;
  return [
    `${colors.green('✓')} ${config.file ?? 'no file: the defaults'}`,
    `  state     ${config.state}`,
    `  healing   ${config.enabled && config.autoFix ? 'on' : 'off'}, sweep every ${ms(config.checkIntervalMs)}, ${config.maxAutoFixAttempts} attempts`,
    ...config.services.flatMap((service) => [
      `  service   ${colors.bold(service.name)} in ${service.directory}`,
      ...(service.command ? [`            runs ${service.command.join(' ')}`] : []),
      ...service.logs.map((pattern) => `            reads ${pattern}`),
      ...(service.journald ? [`            reads the journal of ${service.journald}`] : []),
      ...(service.docker ? [`            reads the output of container ${service.docker}`] : []),
      ...(service.restart ? [`            restarts through ${service.restart.kind}`] : []),
      ...Object.entries(service.fixes).map(([fix, autonomy]) => `            ${fix}: ${autonomy}`),
    ]),
    `  telegram  ${config.telegram ? `chat ${config.telegram.chat}` : 'no'}`,
    `  dashboard ${config.dashboard ? `${config.dashboard.host}:${config.dashboard.port}` : 'no'}`,
    `  gateway   ${config.gateway ? `${config.gateway.host}:${config.gateway.port}` : 'no'}`,
  ];
}
