// Which modules a JavaScript or TypeScript text imports. A small lexer tells code from comments,
// strings and patterns; it never fails, and a name that only stands in a text is never found.

type Token =
  | { readonly kind: 'word' | 'mark'; readonly text: string }
  /** `text` is what stands between the quotes, escapes not resolved. */
  | { readonly kind: 'string'; readonly text: string };

/**
 * Names as written in `import`, `export … from`, `import()`, `require()` and `require.resolve()`, each once.
 *
 * @example
 * importedNames("import a from 'wordtrim'; // import 'evil'"); // ['wordtrim']
 */
export function importedNames(text: string): readonly string[] {
  const tokens = tokenize(text);
  const names = new Set<string>();
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'string' && isImport(tokens, index)) names.add(token.text);
  }
  return [...names];
}

/** True when the string at `index` is the object of an import. */
function isImport(tokens: readonly Token[], index: number): boolean {
  const before = (distance: number): string => {
    const token = tokens[index - distance];
    return token === undefined || token.kind === 'string' ? '' : token.text;
  };
  const isFree = (distance: number): boolean => before(distance) !== '.';
  if (before(1) === 'import' || before(1) === 'from') return isFree(2);
  if (before(1) !== '(') return false;
  if (before(2) === 'import' || before(2) === 'require') return isFree(3);
  return before(2) === 'resolve' && before(3) === '.' && before(4) === 'require' && isFree(5);
}

/** After these words a slash begins a pattern, not a division. */
const BEFORE_PATTERN = new Set(
  'return typeof case in of delete void throw new else do await yield instanceof'.split(' '),
);
const WORD = /[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\d[\w.]*/y;

function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  /** Depths of braces at which a template goes on after `${…}`. */
  const templates: number[] = [];
  let depth = 0;
  let at = text.startsWith('#!') ? endOfLine(text, 0) : 0;
  while (at < text.length) {
    const char = text[at] ?? '';
    if (/\s/.test(char)) at++;
    else if (text.startsWith('//', at)) at = endOfLine(text, at);
    else if (text.startsWith('/*', at)) at = after(text, '*/', at + 2);
    else if (char === '"' || char === "'") at = readString(text, at, char, tokens);
    else if (char === '`' || (char === '}' && templates.at(-1) === depth)) {
      if (char === '}') templates.pop();
      const part = templatePart(text, at + 1);
      if (part.goesOn) templates.push(depth);
      tokens.push({ kind: 'mark', text: '`' });
      at = part.end;
    } else if (char === '/' && patternMayStart(tokens.at(-1))) at = endOfPattern(text, at);
    else {
      const word = match(WORD, text, at);
      const number = word === null ? match(NUMBER, text, at) : null;
      if (char === '{') depth++;
      if (char === '}') depth = Math.max(0, depth - 1);
      if (number === null) tokens.push({ kind: word === null ? 'mark' : 'word', text: word ?? char });
      else tokens.push({ kind: 'mark', text: '0' });
      at += (word ?? number ?? char).length;
    }
  }
  return tokens;
}

function match(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

function after(text: string, needle: string, at: number): number {
  const found = text.indexOf(needle, at);
  return found < 0 ? text.length : found + needle.length;
}

/** A string ends with its quote or, being broken, with its line. */
function readString(text: string, at: number, quote: string, tokens: Token[]): number {
  for (let end = at + 1; end < text.length; end++) {
    const char = text[end];
    if (char === '\\') end++;
    else if (char === '\n') return end;
    else if (char === quote) {
      tokens.push({ kind: 'string', text: text.slice(at + 1, end) });
      return end + 1;
    }
  }
  return text.length;
}

/** One piece of a template: up to its end, or to the `${` that interrupts it. */
function templatePart(text: string, at: number): { readonly end: number; readonly goesOn: boolean } {
  for (let end = at; end < text.length; end++) {
    const char = text[end];
    if (char === '\\') end++;
    else if (char === '`') return { end: end + 1, goesOn: false };
    else if (char === '$' && text[end + 1] === '{') return { end: end + 2, goesOn: true };
  }
  return { end: text.length, goesOn: false };
}

function patternMayStart(last: Token | undefined): boolean {
  if (last === undefined) return true;
  if (last.kind === 'string') return false;
  return last.kind === 'word' ? BEFORE_PATTERN.has(last.text) : !/^[)\]}0`]$/.test(last.text);
}

/** Behind a pattern, or behind the slash when the line has no second one: then it was none. */
function endOfPattern(text: string, at: number): number {
  let inClass = false;
  for (let end = at + 1; end < text.length && text[end] !== '\n'; end++) {
    const char = text[end];
    if (char === '\\') end++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return end + 1;
  }
  return at + 1;
}
