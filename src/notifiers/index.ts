// The catalogue of notifiers. Add a line here; a test compares this list with the folder.

export { createConsoleNotifier, type TextStream } from './console.ts';
export { createTelegramNotifier, type TelegramMemory } from './telegram.ts';
export { createWebhookNotifier } from './webhook.ts';

/** Channel names, as they stand in the outbox. */
export const notifierNames = ['console', 'telegram', 'webhook'] as const;
