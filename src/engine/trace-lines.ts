// Which lines belong to a stack trace or another report of several lines, one small state machine per
// kind. The framer asks line by line; what the joined lines mean is read later, in traces.ts.

/** Where a report of several lines stands. `open` means its end has not been seen yet. */
export interface Report {
  readonly kind: 'python' | 'fatal' | 'frames' | 'go' | 'v8' | 'node' | 'git' | 'npm' | 'json' | 'spring' | 'compiler';
  /** True while more lines must come (a Python traceback without its last line). */
  open: boolean;
  /** Python: what may come next. */
  expects: 'frames' | 'joint' | 'fields' | 'none';
  /** Consecutive lines that fitted only with good will. */
  odd: number;
  /** JSON: depth of braces. Spring: how far its sections have come. */
  depth: number;
  /** How its frames begin; frames of another shape belong to another trace. */
  shape: FrameShape | null;
  /** White space before its first line, which a paste gives to all others too. */
  indent: number;
}

const TRACEBACK =
  /^[ \t|+-]*(?:\S.{0,80}[$#~>] )?(?:Exception in thread .{1,120}:)?\s*(?:Exception Group )?Traceback \(most recent call (?:last|first)\):/;
const PY_FRAME = /^[ \t|]*File "[^"]{1,500}", line \d+/;
const PY_JOINT = /^[ \t|]*(?:The above exception was the direct cause|During handling of the above exception)/;
/** `package.Name: message` or `Name`, as the last line of a traceback. A level word is not a name. */
const PY_LAST =
  /^(?!(?:INFO|DEBUG|WARNING|WARN|ERROR|CRITICAL|FATAL|TRACE|File|Traceback)\b[^.\w])[ \t|]*[A-Za-z_][\w.]{0,200}(?::(?:\s|$)|$|\(|(?:Error|Exception|Timeout|Exit|Interrupt|Expired) )/;
const FATAL_PYTHON = /^Fatal Python error: /;
const FATAL_PART =
  /^(?:(?:Current thread|Thread) 0x[0-9a-f]+|Python runtime state: |<no Python frame>|Extension modules: |Current thread's C stack trace|Garbage-collecting)/;

const FRAME =
  /^[ \t]+(?:at [\w$.<>[\]/*#@(`'\\-]|\.\.\. \d+ (?:more|common frames omitted)|--- End of |from \S+:\d+:in |\.\.\. \d+ )|^#\d+ [\s\S]{1,400}|^\s{0,8}\d{1,4}: (?:0x[0-9a-f]+|[\w<:])|^from \S+:\d+:in |^\S+\.(?:rb|slim|erb|haml):\d+:in |^\t\S+\.(?:go|s):\d+|^  thrown in \S|^PHP {1,4}\d{1,3}\. |^(?:PHP )?Stack trace:|^\[stacktrace\]|^\[previous exception\]|^[ \t]*"\} ?$|^--- End of inner|^ {1,8}---> |^ {1,4}\([\w.]+(?: [\w.]+)?\) \S+:\d+: /;
const CAUSE =
  /^[ \t]*(?:Caused by: |Suppressed: |\[cause\]: |nested exception is:|Wrapped by: |Require stack:|\[errors\]: \[|Next \w)/;
const NODE_SITE =
  /^(?:\/|[A-Za-z]:\\|file:\/\/|node:|internal\/|\[eval\]|evalmachine|undefined)[^\s:]{0,400}(?::[^\s:\d]{1,40})?:\d+$/;
const NODE_TAIL = /^(?:Node\.js v\d|\}|\]|- \/|- [A-Za-z]:\\|\(Use `node --trace|\s*\^+\s*$)/;
/** What Node prints of an error besides its stack. */
const NODE_MORE =
  /^ {2,8}(?:errno|code|syscall|address|port|path|hostname|requireStack|spawnargs|cmd|dest|status|info|errors|cause)\b|^\}$|^- \//;
const PHP_FATAL = /^(?:PHP )?(?:Fatal|Parse|Recoverable fatal) error: {1,3}/;
const GO_OPENS = /^(?:panic: |fatal error: |unexpected fault address|SIGSEGV: |runtime: goroutine stack exceeds)/;
const GO_PART =
  /^(?:goroutine \d+ |\[signal |[\w./*()-]+\([^)]{0,300}\)?(?: \+0x[0-9a-f]+)?$|created by |exit status \d+|rax |\[recovered\]|\t?panic: |runtime\.|main\.|\.\.\.additional frames|\s+\/)/;
const RUST_OPENS = /^thread '[^']{1,80}'(?: \(\d+\))? panicked at/;
const RUST_PART = /^(?:note: run with|note: Some details|stack backtrace:|\s+\d+: |\s+at )/;
const V8_OPENS = /^<--- (?:Last few GCs|JS stacktrace)/;
const V8_PART =
  /^(?:<--- |\[\d+:0x|={3,}|FATAL ERROR: |\s*\d+: 0x|\s*$|----- Native stack|Aborted|Security context|\s+\[)/;
const GIT_PART =
  /^(?:Auto-merging |CONFLICT |Automatic merge failed|Merge conflict|error: |fatal: |hint: |warning: |remote: |Please,? |Aborting|Another git process|an editor opened|are terminated|remove the file manually|Updating [0-9a-f]|To [\w.@:/-]|From \S| ?! \[|fetch-pack: |index-pack |and the repository exists|Could not read from remote|branch |Cannot |You |Merge with strategy|stash|Your |Use |on the |could not apply|Resolve all|The |It is |No |run again|Set the environment|To add an exception|but the current|'|not something|\t)/;
const GIT_OPENS =
  /^(?:\S{1,120}@\S{1,120}: Permission denied \(|hint: Updates were|fetch-pack: |Host key verification failed|remote: |CONFLICT \(|Auto-merging |Automatic merge failed|Updating [0-9a-f]{7,}\.\.|fatal: |error: (?:failed to push|Your local changes|The following untracked|cannot |Pulling is not|Committing is not|Merging is not|could not (?:apply|lock|read)|unable to |object file|loose object|insufficient|bad |unknown (?:option|switch)|pathspec|src refspec|remote |RPC failed|Entry )| ?! \[(?:remote )?rejected\]|To (?:https?|ssh|git)[:@]|git (?:pull|push|clone|merge|rebase|fetch|checkout|stash|status|commit)\b)/;
const GIT_ADVICE = /^(?:are terminated then try again\.$|remove the file manually to continue)/;
/** What the parts of git say that die of the same failure. */
const GIT_CHILD =
  /^(?:fatal|error): (?:fetch-pack|index-pack|early EOF|protocol error|[Tt]he remote end|Could not read from|unpack|failed to push|could not apply)/;
const NPM_OPENS = /^npm (?:ERR!|error)/;
const NPM_LOG = /^\d{1,6} error /;
const SPRING_OPENS = /^\*{5,}$|^APPLICATION FAILED TO START|^FAILURE: Build (?:failed|completed)/;
const JSON_OPENS = /^[{[]$/;
/** `file.ts(3,1): error TS...`, `file.c:3:1: error: ...`, `ERROR in ./src`: the lines below may be indented, or framed. */
const COMPILER =
  /^(?:\S{1,300}\(\d+,\d+\): (?:error|warning) |\S{1,300}:\d+:\d+: (?:fatal )?error: |error\[E\d{4}\]: |\S{0,80}\bld(?:\.\w{2,8})?: |\xe2\x94\x82 Error: |\xc3\x97 )/;
/** Who ran the compiler says once more that it failed. */
const COMPILER_PART =
  /^(?:collect2: |(?:g|n)?make(?:\[\d+\])?: \*\*\* |ninja: build stopped|compilation terminated|\d{1,5} errors? generated|\xe2\x94\x82|\xe2\x95\xb5|clang(?:\+\+)?: error: )/;
/** `Type: text` or `Type (text):`: what a stack of frames hangs under. */
export const EXCEPTION_LINE =
  /^(?:Exception in thread "[^"]{0,120}" |Uncaught |Unhandled (?:exception|rejection)[.:]? ?|PHP (?:Fatal|Parse) error: {1,3}|Error: Uncaught |\S{0,60}Unhandled promise rejection:? |\*\* \()?(?:[A-Za-z_$][\w$]{0,80}(?:\.|::|\/|\\))*[A-Za-z_$][\w$]{0,80}(?:Error|Exception|Failure|Fault|Interrupt|Exit|Timeout|Panic|Errno|Warning|ENOSPC|EACCES|EADDRINUSE|ECONNREFUSED|ENOENT|EMFILE|ETIMEDOUT)(?: \[[\w.]{1,60}\])?(?::|\)| \(|$)|^(?:Error|Errno::[A-Z0-9]+)(?: \[[\w.]{1,60}\])?:/;

/** The report this line opens, or null. */
export function opens(text: string): Report | null {
  const first = text.charCodeAt(0);
  if (first === 0x7b || (first === 0x5b && JSON_OPENS.test(text)))
    return JSON_OPENS.test(text) ? report('json', { open: true, depth: 1 }) : null;
  if (text.length > 400) return EXCEPTION_LINE.test(text) ? report('frames') : null;
  if (TRACEBACK.test(text)) return report('python', { open: true, expects: 'frames' });
  if (PY_FRAME.test(text)) return report('python', { open: true, expects: 'frames' });
  if (PY_JOINT.test(text)) return report('python', { open: true, expects: 'joint' });
  if (FATAL_PYTHON.test(text)) return report('fatal');
  if (V8_OPENS.test(text)) return report('v8', { open: true });
  if (GO_OPENS.test(text) || RUST_OPENS.test(text)) return report('go');
  if (NODE_SITE.test(text)) return report('node', { open: true });
  if (NPM_OPENS.test(text) || NPM_LOG.test(text)) return report('npm');
  if (GIT_OPENS.test(text)) return report('git');
  if (SPRING_OPENS.test(text)) return report('spring');
  if (COMPILER.test(text)) return report('compiler');
  if (EXCEPTION_LINE.test(text) || PHP_FATAL.test(text)) return report('frames');
  if (FRAME.test(text) || /^(?:Caused by|Suppressed): /.test(text)) return report('frames', { odd: 1 });
  return null;
}

function report(kind: Report['kind'], more: Partial<Report> = {}): Report {
  return { kind, open: false, expects: 'none', odd: 0, depth: 0, shape: null, indent: 0, ...more };
}

/** True when the line certainly goes on with the report; its state is moved along. */
export function continues(state: Report, line: string): boolean {
  const text = state.indent > 0 && isWhite(line, state.indent) ? line.slice(state.indent) : line;
  switch (state.kind) {
    case 'python':
      return python(state, text);
    case 'fatal':
      return fatal(state, text);
    case 'frames':
      return frames(state, text);
    case 'node':
      return node(state, text);
    case 'go':
      return GO_PART.test(text) || RUST_PART.test(text) || FRAME.test(text) || indented(text);
    case 'v8':
      // The next process dies the same way.
      if (text.startsWith('<--- Last few GCs') || state.odd > 0) return false;
      if (text.startsWith('Aborted')) state.odd = 1;
      return V8_PART.test(text);
    case 'git':
      return git(state, text);
    case 'npm':
      return NPM_OPENS.test(text) || NPM_LOG.test(text);
    case 'spring':
      return spring(state, text);
    case 'json':
      return json(state, text);
    case 'compiler':
      return indented(text) || COMPILER_PART.test(text);
  }
}

/** True for a line that foreign records may have cut off from this report: only what can be nothing else comes back. */
export function resumes(state: Report, line: string): boolean {
  if (!mayBeCut(state)) return false;
  if (state.kind === 'frames') {
    if (isFrame(line)) return (state.shape ?? shapeOf(line)) === shapeOf(line) && continues(state, line);
    return CAUSE.test(line) || ((state.shape ?? 'at') === 'at' && NODE_MORE.test(line) && continues(state, line));
  }
  // A traceback that has ended goes on only where a joint says so.
  if (state.kind === 'python' && !state.open) return PY_JOINT.test(line) && continues(state, line);
  if (state.kind === 'git') return !indented(line) && continues(state, line);
  if (state.kind === 'fatal') return PY_FRAME.test(line) || line.startsWith('Current thread 0x');
  return continues(state, line);
}

/** The kinds whose further lines are known for what they are wherever they stand. */
export function mayBeCut(report: Report | null): boolean {
  return report !== null && !['json', 'spring', 'compiler', 'npm'].includes(report.kind);
}

/** A frame of a stack trace, in whatever language. */
export function isFrame(text: string): boolean {
  return FRAME.test(text) || PY_FRAME.test(text);
}

export type FrameShape = 'at' | 'number' | 'from' | 'other';

function shapeOf(text: string): FrameShape {
  if (/^\s+at /.test(text)) return 'at';
  if (/^#\d/.test(text)) return 'number';
  return /^\s*from /.test(text) ? 'from' : 'other';
}

/** The last line of a traceback that could be taken for a prefix: `error: [Errno 111] …` of old Pythons. */
export function awaitedLast(text: string): boolean {
  return /^(?:error|timeout|herror|gaierror|warning): /.test(text);
}

function isWhite(text: string, length: number): boolean {
  return text.slice(0, length).trim() === '';
}

/** Sections with blank lines between them; the paragraph under `Action:` is the last. */
function spring(state: Report, text: string): boolean {
  if (text.startsWith('Action:') || text.startsWith('* Try:')) state.depth = 1;
  else if (state.depth === 1) state.depth = 2;
  return true;
}

function python(state: Report, text: string): boolean {
  if (PY_FRAME.test(text)) {
    // A paste may be set in from its second line on.
    if (state.indent === 0 && !text.includes('|')) state.indent = Math.max(0, text.search(/\S/) - 2);
    return go(state, 'frames', true);
  }
  // Behind a traceback that has ended, a further one belongs to it only when a joint or a group says so.
  if (TRACEBACK.test(text)) return (state.expects === 'joint' || indented(text)) && go(state, 'frames', true);
  if (PY_JOINT.test(text)) return go(state, 'joint', true);
  if (indented(text)) return pythonIndented(state, text);
  if (state.expects === 'joint') return ++state.odd < 4;
  if (state.expects === 'frames') return pythonLast(state, text);
  if (state.expects === 'fields' && /^[\w.[\]-]{1,200}$/.test(text)) return true;
  return CAUSE.test(text);
}

/** The interpreter's own end: why, then the stacks of all threads, innermost frame first, and nothing behind them. */
function fatal(state: Report, text: string): boolean {
  if (FATAL_PART.test(text)) {
    state.odd = 1;
    return true;
  }
  // What kept the interpreter from starting stands before the first stack.
  return (
    indented(text) ||
    (state.odd === 0 && (PY_LAST.test(text) || text.startsWith('Python ')) && !FATAL_PYTHON.test(text))
  );
}

/** Behind the advice that ends one failure of git, the next complaint is another's. */
function git(state: Report, text: string): boolean {
  if (state.odd > 0 && /^(?:error|fatal|warning): /.test(text)) return GIT_CHILD.test(text);
  if (GIT_ADVICE.test(text) || text.startsWith('fatal: ')) state.odd = 1;
  return GIT_PART.test(text) || indented(text);
}

function pythonIndented(state: Report, text: string): boolean {
  if (state.expects === 'joint' || /^[ \t|+-]+\+-/.test(text)) return true;
  if (state.expects === 'frames' && /^ {1,3}\| {0,3}[A-Za-z_][\w.]*: /.test(text)) return true;
  return true;
}

/** Behind the frames stands the exception; a terminal may have wrapped a long frame before it. */
function pythonLast(state: Report, text: string): boolean {
  if (!PY_LAST.test(text)) return ++state.odd < 4;
  const looksFinal = /:|Error|Exception|Exit|Interrupt|Timeout|Warning|^[A-Z]\w+$/.test(text);
  if (!looksFinal) return ++state.odd < 4;
  return go(state, /validation errors? for /.test(text) ? 'fields' : 'none', false);
}

function go(state: Report, expects: Report['expects'], open: boolean): true {
  state.expects = expects;
  state.open = open;
  state.odd = 0;
  return true;
}

function frames(state: Report, text: string): boolean {
  if (FRAME.test(text) || CAUSE.test(text)) {
    state.odd = 1;
    state.shape ??= CAUSE.test(text) ? null : shapeOf(text);
    return true;
  }
  return indented(text) || (state.odd > 0 && (NODE_TAIL.test(text) || RUST_PART.test(text))) || /^- [/A-Z]/.test(text);
}

/** The site, the source line, a caret, a blank line, then the error with its stack. */
function node(state: Report, text: string): boolean {
  if (EXCEPTION_LINE.test(text) || /^(?:\[?[A-Z]\w*Error|Error|Uncaught|\S+ \[[A-Z_]+\])/.test(text)) {
    if (!state.open) return false;
    state.open = false;
    state.odd = 1;
    return true;
  }
  if (indented(text) || NODE_TAIL.test(text) || FRAME.test(text) || CAUSE.test(text)) return true;
  return state.open && ++state.odd < 4;
}

function json(state: Report, text: string): boolean {
  if (!state.open) return false;
  if (/^[}\]],?$/.test(text) && --state.depth <= 0) state.open = false;
  else if (JSON_OPENS.test(text)) state.depth++;
  else if (!indented(text) && !text.startsWith('"')) return false;
  return true;
}

export function indented(text: string): boolean {
  const first = text.charCodeAt(0);
  return first === 0x20 || first === 0x09;
}

/** Lines of a program's own report that repeat its prefix: `DETAIL:` after `ERROR:`, a PHP stack, a Go panic. */
export const REPEATED_PREFIX_PART =
  /^(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION): |^[ \t]|^$|^PHP(?: {1,4}\d{1,3}\. | Stack trace:)|^goroutine \d+ |^\[signal |^(?:main|runtime|github\.com|google\.golang)[\w./*()-]*\(|^created by |^#\d+ |^Caused by: |^stack backtrace:|^\S+\.(?:rb|erb|haml|slim|rake|ru):\d+:in /;
