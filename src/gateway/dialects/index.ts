// The catalogue of dialects. A test compares this list with the folder.

import chat from './chat.ts';
import type { Conversation, Dialect, DialectName, JsonObject } from './contract.ts';
import messages from './messages.ts';
import responses from './responses.ts';

export const dialects: Readonly<Record<DialectName, Dialect>> = { messages, chat, responses };

/** The dialect that is spoken at a path, e.g. `/v1/messages`; null for everything else. */
export function dialectAt(path: string): Dialect | null {
  return Object.values(dialects).find((dialect) => dialect.path === path) ?? null;
}

/** A request of one dialect as another one says it. */
export function translate(
  body: JsonObject,
  from: Dialect,
  to: Dialect,
  change: Partial<Conversation> = {},
): JsonObject {
  return to.writeRequest({ ...from.readRequest(body), ...change });
}
