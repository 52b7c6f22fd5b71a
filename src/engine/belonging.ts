// What a line says of the one above it: which tools tell one failure in several lines, and which heads wait for a report.

import type { Open } from './open-record.ts';
import { peel } from './prefixes.ts';
import { opens, type Report, REPEATED_PREFIX_PART } from './trace-lines.ts';

/** Lines of a kernel's report on a lack of memory. */
const DUMP_TAKEN = 150;

/** Heads that say "what follows is the report": they end in a colon, or name a program that failed. */
export function announces(first: string): boolean {
  return (
    !/\b(?:0|no|zero) (?:errors?|failed|failures|exceptions)\b|\b(?:errors?|failed|failures)[=:] ?0\b/i.test(first) &&
    /:\s*$|\b(?:exited with|exit (?:code|status)|exception|error|failed|failure|crashed|raised|rejection|traceback|abort|could not|cannot|unable to)/i.test(
      first,
    )
  );
}

export const STRUCTURED = /^(?:\{|(?:time|ts|level|lvl|msg|timestamp)=\S+ (?:\S+=.{0,200} )?(?:msg|message)=)/;

/** Rails says how a request ended, and below it why. */
const REQUEST_FAILED = /^Completed 5\d\d /;

/** A line without a prefix that says what failed, right above the report of why. */
export function leads(open: Open): boolean {
  const first = open.lines[0] ?? '';
  if (REQUEST_FAILED.test(first)) return true;
  return (
    open.lines.length === 1 && open.blanks === 0 && first.length < 300 && (announces(first) || COMPLAINT.test(first))
  );
}

/** How a tool complains on a terminal: its name, and that something failed. */
const COMPLAINT =
  /^(?:\S{1,60}: )?(?:[A-Z][\w-]{1,20} )?(?:(?:[Ff]atal|[Ii]nternal|[Uu]nexpected|[Uu]nhandled) )?(?:ERROR\b|FATAL\b|[Ee]rror\b|[Ff]atal\b|[Ff]ail(?:ed|ure)\b|[Cc]annot\b|[Cc]an't\b|[Uu]nable\b|[Cc]ould ?n(?:o|')t\b)/;
const EXCEPTION =
  /^(?:[A-Za-z_$][\w$]*(?:\.|::|\\))*[A-Za-z_$][\w$]*(?:Error|Exception)\b|^(?:[a-z_]\w*\.){1,6}[A-Z]\w*: /;
/** Prompts, lists and progress are not about the line above. */
const NOT_MORE = /^(?:[$#>%*+•✓✔-] ?|\d{1,3}[.)%] |\S{1,40}[$#>] |https?:|(?:INFO|DEBUG|npm|pip|git)\b|\S+: OK\b)/;

/** True when `inner` says more about the complaint of `first`: a sentence that complains of nothing by itself. */
export function explains(first: string, inner: string): boolean {
  if (first.length > 600 || inner.length > 600) return false;
  if (!COMPLAINT.test(first) && !EXCEPTION.test(first)) return false;
  if (NOT_MORE.test(inner)) return false;
  // An exception may have a message of several sentences.
  if (COMPLAINT.test(inner) && !(EXCEPTION.test(first) && /^(?!Error|Fatal|Fail)[A-Z]\w+ [a-z]/.test(inner)))
    return false;
  // Another complaint of the same tool begins with its name once more.
  const tool = /^(\S{2,60}: )/.exec(first)?.[1];
  return tool === undefined || !inner.startsWith(tool);
}

/** `error: git pull exited with …:` begins a report; behind the lines of others only what git alone says is its own. */
export function isForeignComplaint(isRightBelow: boolean, inner: string): boolean {
  if (/^error: git |: *$/.test(inner)) return true;
  return !isRightBelow && !inner.startsWith('hint: ') && opens(inner)?.kind !== 'git';
}

/** Git says in several lines that begin like heads why it failed; `fatal:` is its last word. */
export function toolReport(inner: string): Report | null {
  if (!/^(?:error|hint|warning|remote): /.test(inner)) return null;
  const report = opens(inner);
  return report?.kind === 'git' ? report : null;
}

/**
 * What the program itself says, not what it quotes, is not complete without a report: such a line may be calm, or
 * another writer's line may stand between it and the report.
 */
export function awaitsReport(first: string): boolean {
  return /:\s*$|\b(?:exited with|exit (?:code|status)) (?:code |status )?(?!0\b)|\b(?:exception|crashed|raised|rejection|traceback|unhandled|uncaught)\b(?!-\w| (?:hooks?|handlers?|class|type|reports?)\b)/i.test(
    first.replace(/"[^"]*"/g, '""'),
  );
}

/** Nothing but a report can come behind these; how a process ended may be all there is to say. */
const NAMES_REPORT = /:\s*$|\b(?:exception|raised|rejection|traceback|unhandled|uncaught|crashed)\b/i;

const SAYS_NO_REASON = /^[^:="'`]{0,80}\b(?:failed|failure|error|crash|could not|cannot|unable to)\b[^:="'`]{0,80}$/i;

export function leavesOpenWhy(first: string): boolean {
  return NAMES_REPORT.test(first) || SAYS_NO_REASON.test(peel(first, 0).message);
}

/** The same writer goes on under the same prefix: `DETAIL:` after `ERROR:`, a PHP stack, a Go panic. */
export function goesOn(open: Open, inner: string): boolean {
  if (isUnitResult(open, inner) || isPipResult(open, inner)) return true;
  const at = inner.search(
    /(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION): |PHP(?: {1,4}\d{1,3}\. | Stack trace:)|goroutine \d+ |\[signal |\tat |#\d+ |[: \]] *$|:\d+:in /,
  );
  if (at < 0) return false;
  const next = peel(inner, 0);
  if (
    !REPEATED_PREFIX_PART.test(next.message) &&
    !/^(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION): /.test(inner.slice(at))
  )
    return false;
  const first = peel((open.lines[0] ?? '').slice(open.from[0] ?? 0), 0);
  return first.logger === next.logger && first.pid === next.pid && first.tags[0] === next.tags[0];
}

const UNIT_FAILED =
  /^(\S{1,160}): (?:(?:Main|Control) process exited, code=|Start request repeated|Failed with result '|Failed at step |Failed to locate |Unable to locate |Watchdog timeout|A process of this unit|State '|[\w-]+ operation timed out)/;
const UNIT_GOES_ON =
  /^(\S{1,160}): (?:Failed with result '|Start request repeated|Unit entered failed state|Killing process|Scheduled restart job|Service (?:hold-off|RestartSec)|Consumed )/;

/** systemd tells in several lines how one unit failed: how it ended, with what result, and that it will not be started. */
export function isUnitResult(open: Open, inner: string): boolean {
  const unit = UNIT_FAILED.exec((open.lines[0] ?? '').slice(open.from[0] ?? 0))?.[1];
  if (unit === undefined) return false;
  if (UNIT_GOES_ON.exec(inner)?.[1] === unit) return true;
  const started = /^Failed to start (\S+)/.exec(inner)?.[1];
  return started !== undefined && (started === unit || !/\.\w{4,9}$/.test(started));
}

/** pip says why, and then once more that there will be nothing. */
function isPipResult(open: Open, inner: string): boolean {
  return (
    /^ERROR: (?:No matching distribution found|Failed to build|ResolutionImpossible|Could not build)/.test(inner) &&
    /^\s*(?:ERROR|error): (?:Could not find a version|Cannot install|Failed building|Failed to build)/.test(
      open.lines[0] ?? '',
    )
  );
}

/** The kernel tells of one shortage in many lines: from who asked, over what it saw, to whom it killed. */
export function isKernelDump(open: Open, inner: string): boolean {
  const first = open.lines[0] ?? '';
  if (!first.includes('invoked oom-killer') && !first.includes('oom-kill:constraint')) return false;
  if (/oom_reaper: /.test(inner)) return true;
  const killed = open.lines.some((line) => /[Kk]ill(?:ed)? process \d/.test(line));
  return (
    !killed &&
    open.lines.length < DUMP_TAKEN &&
    (open.lane !== '' || /^(?:\[ *\d+\.\d+\]|.{0,60} kernel: )/.test(inner))
  );
}
