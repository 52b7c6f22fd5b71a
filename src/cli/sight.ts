// What `watch` and `run` show of a running monitor: lines for people, or JSON lines.

import { StringDecoder } from 'node:string_decoder';
import pc from 'picocolors';
import type { Sight } from './composition.ts';
import type { CliContext, CommonOptions } from './context.ts';
import { happeningJson, happeningLine, Happenings } from './events.ts';
import { size, wantsColor } from './output.ts';
import { Passage } from './passage.ts';

export interface SightOptions extends CommonOptions {
  readonly quiet?: boolean;
}

/** With `echo` the program's output is shown as well. With `--json` all is JSON lines on stdout; with `--quiet` nothing is shown. */
export function sightOf(context: CliContext, options: SightOptions, { echo }: { readonly echo: boolean }): Sight {
  if (options.quiet) return {};
  const happenings = new Happenings({ flags: flagsOf(options), now: () => context.clock.now() });
  return options.json ? jsonSight(context, happenings, echo) : plainSight(context, happenings, echo);
}

function plainSight(context: CliContext, happenings: Happenings, echo: boolean): Sight {
  const { stdout, stderr, environment, clock } = context;
  const lost = (bytes: number): string => `selfheal: ${size(bytes)} of output were left out here: nobody read them`;
  const passages = { stdout: new Passage(stdout, lost), stderr: new Passage(stderr, lost) };
  const colors = pc.createColors(wantsColor(stderr, environment));
  return {
    onChange: (incident) => {
      const happening = happenings.of(incident);
      if (!happening) return;
      // On one terminal an open line of the program's stdout must end first.
      const gap = stdout.isTTY && stderr.isTTY && passages.stdout.isMidLine ? '\n' : '';
      passages.stderr.line(`${gap}${happeningLine(incident, happening, { colors, now: clock.now() })}`);
    },
    ...(echo && { echo: (stream, bytes) => passages[stream].write(bytes) }),
  };
}

function jsonSight(context: CliContext, happenings: Happenings, echo: boolean): Sight {
  const { stdout, clock } = context;
  const passage = new Passage(stdout, (bytes) => JSON.stringify({ event: 'left-out', bytes }));
  const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
  return {
    onChange: (incident) => {
      const happening = happenings.of(incident);
      if (happening) passage.line(JSON.stringify(happeningJson(incident, happening, clock.now())));
    },
    ...(echo && {
      echo: (stream, bytes) =>
        passage.line(JSON.stringify({ event: 'output', stream, text: decoders[stream].write(Buffer.from(bytes)) })),
    }),
  };
}

/** So that a command that is named can be typed as it stands. */
function flagsOf({ config, state }: CommonOptions): string {
  const quoted = (path: string): string => (/^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);
  return `${config === undefined ? '' : ` --config ${quoted(config)}`}${state === undefined ? '' : ` --state ${quoted(state)}`}`;
}
