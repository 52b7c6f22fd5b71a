// The closed set of what a person can say: each command with its words, how it is written, and what it does.
// Help, menu and suggestions are made from this list.

import { FACT_NAMES } from '../core/facts.ts';

/** One thing to do. The names are those of the command line. */
export type Command =
  | { readonly name: 'health'; readonly minutes: number | null }
  | { readonly name: 'errors'; readonly minutes: number | null }
  | { readonly name: 'report' }
  | { readonly name: 'fix'; readonly id: string | null }
  | { readonly name: 'pull'; readonly service: string | null }
  | { readonly name: 'status' }
  | { readonly name: 'incidents'; readonly all: boolean }
  | { readonly name: 'incident'; readonly id: string }
  | { readonly name: 'plan'; readonly id: string }
  | { readonly name: 'approve'; readonly id: string | null }
  | { readonly name: 'deny'; readonly id: string | null }
  | { readonly name: 'rollback'; readonly id: string }
  | { readonly name: 'silence'; readonly id: string; readonly forMs: number }
  | { readonly name: 'resolve'; readonly id: string }
  | { readonly name: 'merge'; readonly id: string; readonly into: string }
  | { readonly name: 'split'; readonly id: string; readonly by: string | null }
  | { readonly name: 'ungroup'; readonly id: string }
  | { readonly name: 'pause'; readonly reason: string; readonly forMs: number | null }
  | { readonly name: 'resume' }
  | { readonly name: 'history' }
  | { readonly name: 'why'; readonly subject: string }
  | { readonly name: 'logs'; readonly id: string }
  | { readonly name: 'help' };

/** What a problem can be split by, as it is typed. */
export const SPLIT_WORDS: readonly string[] = ['message', ...FACT_NAMES.map((name) => name.toLowerCase())];

export type CommandName = Command['name'];

export interface Grammar {
  readonly name: CommandName;
  /** Words that mean this command; the first is its own name. */
  readonly words: readonly string[];
  /** Words that may stand beside it. */
  readonly with: readonly string[];
  /** Carried out only when spelled exactly and with nothing unknown beside it. */
  readonly changes: boolean;
  /** How it is written in help and in suggestions. */
  readonly usage: string;
  readonly does: string;
}

/** In the order of the help text. */
export const GRAMMAR: readonly Grammar[] = [
  {
    name: 'health',
    words: ['health', 'healthy', 'checkup'],
    with: ['check', 'system'],
    changes: false,
    usage: 'health check',
    does: 'errors of the last 30 minutes, and the services',
  },
  {
    name: 'errors',
    words: ['errors', 'error', 'problems', 'issues'],
    with: [],
    changes: false,
    usage: 'show errors',
    does: 'errors of the last hour by type',
  },
  {
    name: 'report',
    words: ['report', 'summary'],
    with: ['errors', 'error', 'full'],
    changes: false,
    usage: 'show error report',
    does: 'errors, fixes and what is open',
  },
  {
    name: 'fix',
    words: ['fix', 'heal', 'repair'],
    with: ['errors', 'error', 'incident', 'problems', 'everything'],
    changes: true,
    usage: 'fix errors',
    does: 'heal what can be healed; "fix 7" for one incident',
  },
  {
    name: 'pull',
    words: ['pull', 'update'],
    with: ['latest', 'git', 'code', 'changes', 'newest'],
    changes: true,
    usage: 'pull latest from git',
    does: 'take in the newest commits',
  },
  {
    name: 'status',
    words: ['status', 'state'],
    with: ['system', 'selfheal'],
    changes: false,
    usage: 'status',
    does: 'how selfheal itself is',
  },
  {
    name: 'incidents',
    words: ['incidents', 'list', 'open'],
    with: ['incident', 'all'],
    changes: false,
    usage: 'incidents',
    does: 'what is open; "incidents all" for everything',
  },
  {
    name: 'incident',
    words: ['incident', 'details', 'detail'],
    with: [],
    changes: false,
    usage: 'incident 7',
    does: 'one incident with its evidence',
  },
  {
    name: 'plan',
    words: ['plan', 'dryrun', 'preview'],
    with: ['incident', 'dry', 'run'],
    changes: false,
    usage: 'plan 7',
    does: 'what would be done, and its way back',
  },
  {
    name: 'approve',
    words: ['approve', 'allow', 'accept'],
    with: ['incident', 'plan', 'yes'],
    changes: true,
    usage: 'approve 7',
    does: 'let the plan of an incident run',
  },
  {
    name: 'deny',
    words: ['deny', 'reject', 'refuse'],
    with: ['incident', 'plan', 'no'],
    changes: true,
    usage: 'deny 7',
    does: 'do not let it run',
  },
  {
    name: 'rollback',
    words: ['rollback', 'undo', 'revert'],
    with: ['incident', 'fix', 'back'],
    changes: true,
    usage: 'rollback 7',
    does: 'take the last fix back',
  },
  {
    name: 'silence',
    words: ['silence', 'mute', 'snooze'],
    with: ['incident'],
    changes: true,
    usage: 'silence 7 2h',
    does: 'hear nothing of it; 2 h unless you say how long',
  },
  {
    name: 'resolve',
    words: ['resolve', 'close'],
    with: ['incident'],
    changes: true,
    usage: 'resolve 7',
    does: 'you have seen to it; it opens again when it is seen again',
  },
  {
    name: 'merge',
    words: ['merge', 'join'],
    with: ['incident', 'incidents', 'into', 'with'],
    changes: true,
    usage: 'merge 7 5',
    does: 'they are one problem: 7 counts for 5',
  },
  {
    name: 'split',
    words: ['split', 'separate'],
    with: ['incident', 'by', ...SPLIT_WORDS],
    changes: true,
    usage: 'split 7 by path',
    does: 'it is several problems, told apart by a fact',
  },
  {
    name: 'ungroup',
    words: ['ungroup', 'unmerge', 'unsplit'],
    with: ['incident'],
    changes: true,
    usage: 'ungroup 7',
    does: 'take a merge or a split back',
  },
  {
    name: 'pause',
    words: ['pause', 'freeze'],
    with: [],
    changes: true,
    usage: 'pause',
    does: 'stop all acting, watching goes on; "pause 2h" ends by itself',
  },
  {
    name: 'resume',
    words: ['resume', 'continue', 'unpause'],
    with: ['healing'],
    changes: true,
    usage: 'resume',
    does: 'act again',
  },
  {
    name: 'history',
    words: ['history', 'fixes', 'ledger'],
    with: ['fix'],
    changes: false,
    usage: 'history',
    does: 'what was done, and how it ended',
  },
  {
    name: 'why',
    words: ['why', 'explain'],
    with: ['incident'],
    changes: false,
    usage: 'why 7',
    does: 'which rule matched; also for a line of log',
  },
  {
    name: 'logs',
    words: ['logs', 'log', 'samples'],
    with: ['incident'],
    changes: false,
    usage: 'logs 7',
    does: 'the lines an incident was seen in',
  },
  {
    name: 'help',
    words: ['help', 'commands', 'start', 'menu', 'hi', 'hello'],
    with: [],
    changes: false,
    usage: 'help',
    does: 'this list',
  },
];
