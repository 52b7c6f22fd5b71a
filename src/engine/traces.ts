// Reads the joined lines of a stack trace: which exception, where, and what caused it. One reader per
// family of languages; all give the same Trace, innermost frame last.

import { remembering } from '../core/memo.ts';
import type { Frame, Trace } from '../core/record.ts';

type Language = Trace['language'];

interface Entry {
  readonly type: string;
  message: string;
  readonly frames: Frame[];
  /** How the entry before it in the text relates to it. */
  readonly joint: 'cause' | 'context' | 'none';
}

/** A trace, and the lines it was read from. */
export interface FoundTrace {
  readonly trace: Trace;
  /** Indexes of lines that are frames or source, not words of the program. */
  readonly used: ReadonlySet<number>;
}

const FRAMES_KEPT = 100;
const CAUSES_KEPT = 20;
const MESSAGE_KEPT = 4_000;

/** The trace in these lines (carrier prefixes off), or null. */
export function readTrace(given: readonly string[]): FoundTrace | null {
  const lines = dedented(given);
  const used = new Set<number>();
  const language = languageOf(lines);
  if (language === null) return null;
  const entries = language === 'python' ? pythonEntries(lines, used) : frameEntries(lines, language, used);
  if (entries.length === 0) return null;
  return { trace: assemble(entries, language), used };
}

/** A paste may have been indented as a whole. */
function dedented(lines: readonly string[]): readonly string[] {
  const frame = lines.find((line) => PY_FRAME.test(line) && !line.includes('|'));
  const indent = frame === undefined ? 0 : frame.length - frame.trimStart().length - PY_INDENT;
  return indent <= 0 ? lines : lines.map((line) => (line.slice(0, indent).trim() === '' ? line.slice(indent) : line));
}

function assemble(entries: readonly Entry[], language: Language): Trace {
  // Python prints the root first and what it led to last; all others print the outermost first.
  const ordered = language === 'python' ? [...entries].reverse() : entries;
  const [outer, ...causes] = ordered.map(
    (entry): Trace => ({
      language,
      type: entry.type,
      message: entry.message.slice(0, MESSAGE_KEPT),
      frames: entry.frames.slice(-FRAMES_KEPT),
      causes: [],
    }),
  );
  return { ...(outer as Trace), causes: causes.slice(0, CAUSES_KEPT) };
}

// ---------------------------------------------------------------- which language

const SIGNS: readonly [Language, RegExp][] = [
  [
    'python',
    /^[ \t|+-]*(?:.{0,80}[$#~>] )?(?:Exception Group )?Traceback \(most recent call (?:last|first)\):|^[ \t|]*File "[^"]+", line \d+|^Fatal Python error: /,
  ],
  ['go', /^(?:.*: )?(?:panic: |fatal error: )|^goroutine \d+ \[/],
  ['rust', /^thread '[^']+'(?: \(\d+\))? panicked at/],
  [
    'csharp',
    /^\s+at [\w.<>`+[\]$]+\([^)]*\)(?: in .+:line \d+)?$|^Unhandled exception\. |--- End of (?:inner exception )?stack trace/,
  ],
  [
    'java',
    /^\s+at [\w.$<>/@-]+\((?:[\w$-]+\.(?:java|kt|scala|groovy|clj):\d+|Native Method|Unknown Source|[\w$.-]+)\)|^Caused by: |^Exception in thread "/,
  ],
  [
    'php',
    /^#\d+ .*?(?:\(\d+\)|\[internal function\]): |^#\d+ \{main\}|^PHP {1,4}\d+\. |^\[stacktrace\]|\[object\] \(|PHP (?:Fatal|Parse) error|^ {2}thrown in /,
  ],
  ['node', /^\s+at .*(?:[\w$)>\]]:\d+:\d+\)?|\(native\)|<anonymous>)|^\s+at [^(]*\(?node:/],
  ['ruby', /^\s*(?:from )?\S+\.(?:rb|slim|erb|haml|rake|ru):\d+:in |^\t?from \S+:\d+:in /],
];

function languageOf(lines: readonly string[]): Language | null {
  return SIGNS[Math.min(...lines.map(signIn))]?.[0] ?? null;
}

/** The first sign that stands in a line; one behind the last when there is none. */
const signIn = remembering((line: string) => {
  const at = SIGNS.findIndex(([, sign]) => sign.test(line));
  return at < 0 ? SIGNS.length : at;
}, 2_000);

// ---------------------------------------------------------------- Python

/** Python sets its frames in by two blanks. */
const PY_INDENT = 2;
const PY_FRAME = /^[ \t|]*File "([^"]+)", line (\d+)(?:, in (\S+))?/;
const PY_JOINT = /^[ \t|]*(The above exception was the direct cause|During handling of the above)/;
const PY_TYPE =
  /^[ \t|]*((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Timeout|Exit|Interrupt|Expired)?)(?:: ?([\s\S]*)| ([([\w].*))?$/;
const PY_STOP = /^(?:File|Traceback|INFO|DEBUG|WARNING|ERROR|CRITICAL|WARN|FATAL)$/;

function pythonEntries(lines: readonly string[], used: Set<number>): Entry[] {
  const entries: Entry[] = [];
  let frames: Frame[] = [];
  let joint: Entry['joint'] = 'none';
  let inFrames = false;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? '';
    const frame = PY_FRAME.exec(line);
    if (frame) {
      frames.push(frameOf(frame[1] ?? '', frame[2], frame[3]));
      inFrames = true;
      used.add(i);
    } else if (/Traceback \(most recent call/.test(line)) {
      inFrames = true;
      used.add(i);
    } else if (PY_JOINT.test(line)) {
      joint = line.includes('direct cause') ? 'cause' : 'context';
      used.add(i);
    } else if (/^[ \t|]*\^+|^[ \t]*~+/.test(line)) used.add(i);
    else if (line.startsWith('Fatal Python error: ')) {
      entries.push({ type: 'Fatal Python error', message: line.slice(20), frames: [], joint: 'none' });
      frames = entries[0]?.frames ?? [];
    } else if (inFrames) {
      const type = pythonType(line);
      if (!type) {
        used.add(i);
        continue;
      }
      const end = messageEnd(lines, i);
      entries.push({
        type: type.type,
        message: [type.message, ...lines.slice(i + 1, end)].join('\n').trim(),
        frames,
        joint,
      });
      frames = [];
      joint = 'none';
      inFrames = false;
    }
  }
  return entries;
}

function pythonType(line: string): { type: string; message: string } | null {
  const text = line.replace(/^[ \t]*\|[ \t]{0,4}/, '');
  if (/^\s/.test(text)) return null;
  const match = PY_TYPE.exec(text);
  if (!match || PY_STOP.test(match[1] ?? '')) return null;
  if (match[2] === undefined && !/[A-Z]|^(?:timeout|error|herror|gaierror)$/.test(match[1] ?? '')) return null;
  // Behind a blank stands what somebody appended to the class, and never a sentence.
  if (match[3] !== undefined && !/(?:Error|Exception|Timeout|Exit|Interrupt|Expired)$/.test(match[1] ?? ''))
    return null;
  return { type: match[1] ?? '', message: match[2] ?? match[3] ?? '' };
}

/** Further lines of the message: everything up to the next joint, frame or traceback. */
function messageEnd(lines: readonly string[], at: number): number {
  let end = at + 1;
  while (end < lines.length && end < at + 30) {
    const line = lines[end] ?? '';
    if (PY_JOINT.test(line) || PY_FRAME.test(line) || /Traceback \(most recent call/.test(line)) break;
    end++;
  }
  return end;
}

// ---------------------------------------------------------------- all others

const FRAME_LINES: Readonly<Record<Exclude<Language, 'python'>, RegExp>> = {
  java: /^\s+at (?:[\w.@-]+\/)?(?<fn>[\w.$<>-]+)\((?:(?<file>[\w$-]+\.\w+):(?<line>\d+)|[^)]*)\)/,
  csharp: /^\s+at (?<fn>[^(]+)\([^)]*\)(?: in (?<file>.+):line (?<line>\d+))?/,
  node: /^\s+at (?:async )?(?:(?<fn>.+?) \()?(?<file>(?:file:\/\/|node:|[A-Za-z]:[\\/])?[^():]*?):(?<line>\d+)(?::\d+)?\)?,?(?: \{)?\s*$/,
  go: /^\t(?<file>\S+\.(?:go|s)):(?<line>\d+)/,
  ruby: /^\s*(?:from )?(?<file>\S+?):(?<line>\d+):in [`'](?<fn>[^']+)'/,
  rust: /^\s+at (?<file>\S+?):(?<line>\d+)(?::\d+)?$/,
  php: /^(?:PHP {1,4})?#?\d+\.? (?:(?<file>\S.*?)\((?<line>\d+)\): )?(?<fn>\S.*)$/,
  other: /^\s+at (?<fn>.+)$/,
};

const HEADER =
  /(?:^|[\s"'(:\]>-])(?<type>(?:[a-z_]\w*\.){1,6}_?(?:exceptions?|errors?|exc)\.[A-Z]\w*|(?:[A-Za-z_$][\w$]*(?:\.|::|\\{1,2}|\/))*(?:[A-Za-z_$][\w$]*)?(?:Error|Exception|Failure|Fault|Interrupt|Throwable|Timeout|Panic|Errno::[A-Z]+|ENOSPC))(?: \[(?<code>[\w.]+)\])?(?:: (?<message>.*)| \((?<paren>.*)\):?|(?<bare>\s*\{?))$/;
const CAUSE_HEADER = /^\s*(?:Caused by: |Suppressed: |\[cause\]: | {1,8}---> |Wrapped by: )(.*)$/;

function frameEntries(lines: readonly string[], language: Exclude<Language, 'python'>, used: Set<number>): Entry[] {
  const entries: Entry[] = [];
  const pattern = FRAME_LINES[language];
  let current: Entry | null = null;
  lines.forEach((line, i) => {
    // Rust says on a line of its own why it panicked.
    if (language === 'rust' && current?.message === '' && i > 0 && !/^(?:note|stack backtrace):/.test(line)) {
      current.message = line.trim();
      return;
    }
    const frame = pattern.exec(line);
    if (frame?.groups) {
      used.add(i);
      current?.frames.unshift(frameOf(frame.groups['file'] ?? '', frame.groups['line'], frame.groups['fn']));
      return;
    }
    const started = header(line, language, entries.length > 0);
    if (!started) return;
    current = started;
    entries.push(started);
  });
  return entries;
}

function header(line: string, language: Language, hasOne: boolean): Entry | null {
  const cause = CAUSE_HEADER.exec(line);
  if (cause) return entryOf(cause[1] ?? '', 'cause');
  if (hasOne && language !== 'php' && !/^\S/.test(line)) return null;
  if (language === 'go') return goHeader(line);
  if (language === 'rust') return rustHeader(line, hasOne);
  if (language === 'ruby') return rubyHeader(line, hasOne) ?? (hasOne ? null : entryOf(line, 'none'));
  if (language === 'php') return phpHeader(line, hasOne);
  if (hasOne && !/^(?:[\w.$]+(?:Error|Exception)\b|Caused by)/.test(line)) return null;
  return entryOf(line, hasOne ? 'cause' : 'none');
}

function entryOf(text: string, joint: Entry['joint']): Entry | null {
  const found = exceptionIn(text);
  if (!found) return joint === 'none' ? null : { type: '', message: text.trim(), frames: [], joint };
  return { type: found.type, message: found.message, frames: [], joint };
}

/** `Type: message` at the end of a line, whatever stands before it. */
export const exceptionIn = remembering((text: string): { type: string; message: string; index: number } | null => {
  const elixir = /^\*\* \(([A-Z][\w.]*)\) ?(.*)$/.exec(text);
  if (elixir) return { type: elixir[1] ?? '', message: elixir[2] ?? '', index: 0 };
  const match = HEADER.exec(text);
  if (match?.groups) {
    const type = match.groups['type'] ?? '';
    const at = match.index + match[0].indexOf(type);
    // A name alone at the end of a sentence is a word of it.
    if (match.groups['bare'] !== undefined && at > 0 && !/[:>\]|] ?$/.test(text.slice(0, at))) return null;
    const message = (match.groups['message'] ?? match.groups['paren'] ?? '').replace(/\s*\{$/, '');
    return { type, message, index: at };
  }
  return null;
});

function goHeader(line: string): Entry | null {
  const match = /(?:^|: )(panic|fatal error): (.*?)(?: \[recovered\])?$/.exec(line);
  return match ? { type: match[1] ?? '', message: match[2] ?? '', frames: [], joint: 'none' } : null;
}

function rustHeader(line: string, hasOne: boolean): Entry | null {
  const match = /^thread '[^']+'(?: \(\d+\))? panicked at (?:'(.*)', )?(\S+?):(\d+):\d+:?$/.exec(line);
  if (!match || hasOne) return null;
  return {
    type: 'panic',
    message: match[1] ?? '',
    frames: [frameOf(match[2] ?? '', match[3], undefined)],
    joint: 'none',
  };
}

function rubyHeader(line: string, hasOne: boolean): Entry | null {
  const match = /^(\S+?):(\d+):in [`']([^']+)': (.*?) \(([\w:]+)\)$/.exec(line);
  if (!match || hasOne) return null;
  return {
    type: match[5] ?? '',
    message: match[4] ?? '',
    frames: [frameOf(match[1] ?? '', match[2], match[3])],
    joint: 'none',
  };
}

const PHP_OBJECT = /\[object\] \(([\w\\]+)\(code: ?[\w]*\): (.*) at (\S.*?):(\d+)\)?\s*$/;
const PHP_UNCAUGHT =
  /(?:PHP )?(?:Fatal|Parse|Recoverable fatal) error: {1,3}(?:Uncaught (?:exception '([\w\\]+)' with message '(.*?)'|([\w\\]+): (.*?))|(.*?)) in (.+?)(?:\(\d+\) : eval\(\)'d code)?(?::| on line )(\d+)/;

function phpHeader(line: string, hasOne: boolean): Entry | null {
  const object = PHP_OBJECT.exec(line);
  if (object) {
    const frame = frameOf(object[3] ?? '', object[4], undefined);
    return {
      type: (object[1] ?? '').replace(/\\\\/g, '\\'),
      message: object[2] ?? '',
      frames: [frame],
      joint: hasOne ? 'cause' : 'none',
    };
  }
  const fatal = hasOne ? null : PHP_UNCAUGHT.exec(line);
  if (!fatal) return null;
  const frame = frameOf(fatal[6] ?? '', fatal[7], undefined);
  return {
    type: fatal[1] ?? fatal[3] ?? '',
    message: fatal[2] ?? fatal[4] ?? fatal[5] ?? '',
    frames: [frame],
    joint: 'none',
  };
}

// ---------------------------------------------------------------- frames

const OUTSIDE =
  /(?:^|[\\/])(?:site-packages|dist-packages|node_modules|vendor|gems|\.cargo|go[\\/]pkg|lib[\\/]python[\d.]*|lib[\\/]ruby|internal|rustc|usr[\\/]lib|usr[\\/]local[\\/]go)[\\/]|^<frozen|^<string>|^node:|^internal[\\/]|^\[internal|^(?:java|javax|jdk|sun|kotlin|scala|org\.springframework|org\.apache|io\.netty|System|Microsoft|runtime|std|core|alloc)[.:]/i;

const isOutside = remembering((text: string) => OUTSIDE.test(text));

function frameOf(file: string, line: string | undefined, fn: string | undefined): Frame {
  const name = fn?.trim();
  return {
    file,
    ...(line === undefined ? {} : { line: Number(line) }),
    ...(name ? { function: name } : {}),
    inApp: !(isOutside(file) || isOutside(name ?? '')),
  };
}
