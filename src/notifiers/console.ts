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

function consoleText({ title, body, excerpt, at, manner }: Notification): string {
  const time = new Date(at).toISOString().slice(11, 19);
  // Of a change to what was said before, the state alone is worth a line.
  const lines = manner === 'progress' ? body.split('\n').slice(0, 1) : body.split('\n');
  const quote = excerpt && manner !== 'progress' ? [`> ${excerpt}`] : [];
  const rest = [...lines, ...quote].map((line) => `           ${visible(line)}`.trimEnd());
  return `${[`[${time}] ${visible(title)}`, ...rest].join('\n')}\n`;
}
