// File names as git prints and reads them line by line: plain when they are plain, else quoted like C strings. All of
// it is ASCII, so names of any bytes survive pipes that carry text. In memory such a name is its bytes as latin1.

const LETTERS: Readonly<Record<string, string>> = { a: '\x07', b: '\b', t: '\t', n: '\n', v: '\v', f: '\f', r: '\r' };

/** Bytes (as latin1) of a name as git printed it with core.quotePath on. */
export function unquoteName(text: string): string {
  if (!text.startsWith('"') || !text.endsWith('"') || text.length < 2) return text;
  return text.slice(1, -1).replace(/\\(?:([0-7]{3})|(.))/g, (_, octal: string | undefined, letter: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    return LETTERS[letter] ?? letter;
  });
}

/** The form in which git reads a name of any bytes on one line of its input. */
export function quoteName(name: string): string {
  const quoted = [...name].map((character) => {
    const code = character.charCodeAt(0);
    if (character === '"' || character === '\\') return `\\${character}`;
    return code < 0x20 || code >= 0x7f ? `\\${code.toString(8).padStart(3, '0')}` : character;
  });
  return `"${quoted.join('')}"`;
}

/** For people: the name as UTF-8 text. */
export function shownName(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** Bytes (as latin1) of a name given as text. */
export function nameBytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Absolute path of a name below a folder, as bytes: for the file system. */
export function pathOf(root: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, 'latin1')]);
}

/** One line of `diff --raw` of git. */
export interface RawChange {
  readonly oldMode: string;
  readonly newMode: string;
  readonly oldId: string;
  readonly newId: string;
  /** A, M, D, T or U. */
  readonly status: string;
  /** Bytes as latin1. */
  readonly name: string;
}

const RAW = /^:(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) ([A-Z])\d*\t(.*)$/;

export function parseRawDiff(text: string): readonly RawChange[] {
  return text.split('\n').flatMap((line) => {
    const [, oldMode, newMode, oldId, newId, status, name] = RAW.exec(line) ?? [];
    if (!oldMode || !newMode || !oldId || !newId || !status || name === undefined) return [];
    return [{ oldMode, newMode, oldId, newId, status, name: unquoteName(name) }];
  });
}

/** What `status --porcelain=v2` says. Names are bytes as latin1. */
export interface StatusLines {
  readonly head: string | null;
  readonly branch: string | null;
  readonly modified: readonly string[];
  readonly staged: readonly string[];
  readonly unmerged: readonly string[];
  readonly untracked: readonly string[];
}

export function parseStatus(text: string): StatusLines {
  const found = {
    modified: [] as string[],
    staged: [] as string[],
    unmerged: [] as string[],
    untracked: [] as string[],
  };
  let head: string | null = null;
  let branch: string | null = null;
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    if (line.startsWith('# branch.oid '))
      head = /^[0-9a-f]{40,64}$/.test(fields[2] ?? '') ? (fields[2] as string) : null;
    else if (line.startsWith('# branch.head ')) branch = fields[2] === '(detached)' ? null : line.slice(14);
    else if (fields[0] === '?') found.untracked.push(unquoteName(line.slice(2)));
    else if (fields[0] === 'u') found.unmerged.push(unquoteName(fields.slice(10).join(' ')));
    else if (fields[0] === '1') {
      const name = unquoteName(fields.slice(8).join(' '));
      if (fields[1]?.[0] !== '.') found.staged.push(name);
      if (fields[1]?.[1] !== '.') found.modified.push(name);
    }
  }
  return { head, branch, ...found };
}
