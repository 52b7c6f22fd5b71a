// Untrusted text may hold characters that steer a terminal or reorder what people read. They are
// shown, never obeyed: every face passes log text through here before printing it.

// The C0 and C1 controls, format characters (bidirectional marks, zero width, tags), line and paragraph
// separators, private use and lone surrogates. Tab and newline may stay.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;
/** Wraps text in such a sequence without showing: colours, titles, links, cursor moves. */
// biome-ignore lint: the control characters are the point
const ANSI =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[@-Z\\-_])/g;

/**
 * The text with every invisible or steering character made visible as `<U+202E>`. Colours are taken out,
 * since many programs log them; newlines and tabs stay.
 *
 * @example visible('a\u202eb') // 'a<U+202E>b'
 */
export function visible(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(ANSI, '')
    .replace(UNSEEN, (character) =>
      character === '\n' || character === '\t' ? character : `<U+${hex(character.codePointAt(0) ?? 0)}>`,
    );
}

/** The same on one line, cut to `limit` characters with an ellipsis. Never cuts a character in half. */
export function oneLine(text: string, limit: number): string {
  const flat = visible(text).replace(/\s+/g, ' ').trim();
  return clip(flat, limit);
}

/** At most `limit` UTF-16 units, ending in `…` when something was cut. */
export function clip(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = Math.max(0, limit - 1);
  const code = text.charCodeAt(end - 1);
  const split = code >= 0xd800 && code <= 0xdbff;
  return `${text.slice(0, split ? end - 1 : end)}…`;
}

function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(4, '0');
}
