// Draws messages of the fake Bot API as a phone would show them: an SVG for the documentation, made from
// what was really sent, with its formatting and its buttons.

import type { FakeMessage } from './telegram.ts';

type Style = 'plain' | 'bold' | 'code' | 'pre';

interface Run {
  readonly text: string;
  readonly style: Style;
}

const WIDTH = 420;
const EDGE = 14;
const LINE = 20;
const BUTTON = 34;
const GAP = 12;
/** Characters of a line: the average one is about 8 px wide at 14 px. */
const COLUMNS = 48;

/**
 * @example await writeFile('cards.svg', chatPicture(api.sent()));
 */
export function chatPicture(messages: readonly Pick<FakeMessage, 'text' | 'entities' | 'buttons'>[]): string {
  let y = EDGE;
  const drawn = messages.map((message) => {
    const bubble = bubbleOf(message, y);
    y += bubble.height + GAP;
    return bubble.svg;
  });
  const height = y - GAP + EDGE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    `<style>${CSS}</style>`,
    `<rect width="${WIDTH}" height="${height}" fill="#c9dbe8"/>`,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

const CSS = [
  'text{font:14px system-ui,"Segoe UI",Roboto,"Noto Sans","Noto Color Emoji",sans-serif;fill:#111;white-space:pre}',
  '.bold{font-weight:600}',
  '.code,.pre{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:12.5px}',
  '.code{fill:#8a3b12}.button{fill:#fff;font-size:13px;text-anchor:middle}',
].join('');

function bubbleOf({ text, entities, buttons }: Parameters<typeof chatPicture>[0][number], top: number) {
  const lines = linesOf(text, entities).flatMap(wrapped);
  const body = lines.length * LINE + 16;
  const width = WIDTH - 2 * EDGE;
  const svg = [
    `<rect x="${EDGE}" y="${top}" width="${width}" height="${body}" rx="12" fill="#fff"/>`,
    ...lines.map((runs, index) => lineOf(runs, top + 8 + index * LINE)),
    ...buttons.flatMap((row, index) => buttonsOf(row, top + body + 4 + index * (BUTTON + 4))),
  ];
  return { svg: svg.join('\n'), height: body + buttons.length * (BUTTON + 4) };
}

function lineOf(runs: readonly Run[], top: number): string {
  const quote = runs[0]?.style === 'pre';
  const back = `<rect x="${EDGE + 8}" y="${top}" width="${WIDTH - 2 * EDGE - 16}" height="${LINE}" fill="#eef1f4"/>`;
  const spans = runs.map(({ text, style }) => `<tspan class="${style}">${escaped(text)}</tspan>`).join('');
  return `${quote ? back : ''}<text x="${EDGE + 12}" y="${top + 15}">${spans}</text>`;
}

function buttonsOf(row: FakeMessage['buttons'][number], top: number): readonly string[] {
  const width = (WIDTH - 2 * EDGE - (row.length - 1) * 4) / row.length;
  return row.map(({ text }, index) => {
    const x = EDGE + index * (width + 4);
    const label = `<text class="button" x="${x + width / 2}" y="${top + 22}">${escaped(text)}</text>`;
    return `<rect x="${x}" y="${top}" width="${width}" height="${BUTTON}" rx="8" fill="#5b7a94"/>${label}`;
  });
}

/** The text cut at line ends and at the borders of its entities. */
function linesOf(text: string, entities: FakeMessage['entities']): readonly (readonly Run[])[] {
  const lines: Run[][] = [[]];
  for (const [index, unit] of [...text].entries()) {
    const at = [...text].slice(0, index).join('').length;
    const style = styleAt(at, entities);
    const line = lines.at(-1) as Run[];
    const last = line.at(-1);
    if (unit === '\n') lines.push([]);
    else if (last?.style === style) line[line.length - 1] = { text: last.text + unit, style };
    else line.push({ text: unit, style });
  }
  return lines;
}

function styleAt(at: number, entities: FakeMessage['entities']): Style {
  const type = entities.find((e) => at >= e.offset && at < e.offset + e.length)?.type;
  return type === 'bold' || type === 'code' || type === 'pre' ? type : 'plain';
}

/** One line as often as it takes, broken between words where there are any. */
function wrapped(runs: readonly Run[]): readonly (readonly Run[])[] {
  const out: Run[][] = [[]];
  let room = COLUMNS;
  for (const { text, style } of runs)
    for (const word of text.split(/(?<=\s)/).flatMap((w) => w.match(/.{1,44}/gu) ?? [])) {
      if (word.trimEnd().length > room) {
        out.push([]);
        room = COLUMNS;
      }
      (out.at(-1) as Run[]).push({ text: word, style });
      room -= word.length;
    }
  return out.map(merged);
}

function merged(runs: readonly Run[]): readonly Run[] {
  const out: Run[] = [];
  for (const run of runs) {
    const last = out.at(-1);
    if (last?.style === run.style) out[out.length - 1] = { ...run, text: last.text + run.text };
    else out.push(run);
  }
  return out;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
