// The console: each message as lines on a stream, for a terminal or a service log.

import type { Notification } from '../core/notification.ts';
import { visible } from '../core/visible.ts';
import type { Delivery, Notifier } from './contract.ts';

/** What is needed of a stream, e.g. `process.stderr`. */
export interface TextStream {
  write(text: string): unknown;
}

/**
 * @example const notifier = createConsoleNotifier(process.stderr);
 */
export function createConsoleNotifier(stream: TextStream): Notifier {
  return {
    name: 'console',
    edits: false,
    send: async (notification): Promise<Delivery> => {
      try {
        stream.write(consoleText(notification));
        return { kind: 'sent', externalId: null };
      } catch {
        // A closed pipe stays closed.
        return { kind: 'rejected', error: 'the console cannot be written to' };
      }
    },
  };
}

/** Every line carries our name: whoever watches this stream can tell our words from those of a service. */
function consoleText({ title, body, excerpt, at, manner }: Notification): string {
  const time = new Date(at).toISOString().slice(11, 19);
  // Of a change to what was said before, the state alone is worth a line.
  const lines = visible(body)
    .split('\n')
    .slice(0, manner === 'progress' ? 1 : undefined);
  const quote = excerpt && manner !== 'progress' ? visible(excerpt).split('\n') : [];
  const rest = [...lines, ...quote.map((line) => `> ${line}`)].map((line) => `${INDENT}${NAME} ${line}`.trimEnd());
  return `${[`[${time}] ${NAME} ${visible(title).replaceAll('\n', ' ')}`, ...rest].join('\n')}\n`;
}

const NAME = 'selfheal:';
const INDENT = ' '.repeat('[00:00:00] '.length);
