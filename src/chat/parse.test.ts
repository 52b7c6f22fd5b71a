import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesSomething } from './commands.ts';
import { GRAMMAR, type Command } from './grammar.ts';
import { parseCommand } from './parse.ts';

const H = 3_600_000;

const UNDERSTOOD: readonly (readonly [string, Command])[] = [
  // The specification's own words.
  ['health check', { name: 'health', minutes: null }],
  ['show errors', { name: 'errors', minutes: null }],
  ['show error report', { name: 'report' }],
  ['fix errors', { name: 'fix', id: null }],
  ['pull latest from git', { name: 'pull', service: null }],
  // Case, order, politeness, punctuation.
  ['Health Check', { name: 'health', minutes: null }],
  ['CHECK HEALTH', { name: 'health', minutes: null }],
  ['please show me the errors!', { name: 'errors', minutes: null }],
  ['errors of the last 2 hours', { name: 'errors', minutes: 120 }],
  ['show errors 90m', { name: 'errors', minutes: 90 }],
  ['health 15 min', { name: 'health', minutes: 15 }],
  ['error report please', { name: 'report' }],
  ['Fix the errors, please.', { name: 'fix', id: null }],
  ['fix', { name: 'fix', id: null }],
  ['fix 7', { name: 'fix', id: '7' }],
  ['fix incident #7', { name: 'fix', id: '7' }],
  ['git pull', { name: 'pull', service: null }],
  ['pull agent', { name: 'pull', service: 'agent' }],
  ['status?', { name: 'status' }],
  ['what is the status', { name: 'status' }],
  ['incidents', { name: 'incidents', all: false }],
  ['show all incidents', { name: 'incidents', all: true }],
  ['list incidents', { name: 'incidents', all: false }],
  ['incident 12', { name: 'incident', id: '12' }],
  ['show incident #12', { name: 'incident', id: '12' }],
  ['details 12', { name: 'incident', id: '12' }],
  ['plan 3', { name: 'plan', id: '3' }],
  ['3 plan', { name: 'plan', id: '3' }],
  ['approve', { name: 'approve', id: null }],
  ['Approve 7', { name: 'approve', id: '7' }],
  ['7 approve', { name: 'approve', id: '7' }],
  ['deny 7', { name: 'deny', id: '7' }],
  ['reject plan 7', { name: 'deny', id: '7' }],
  ['rollback 7', { name: 'rollback', id: '7' }],
  ['roll back 7', { name: 'rollback', id: '7' }],
  ['undo 7', { name: 'rollback', id: '7' }],
  ['silence 7 2h', { name: 'silence', id: '7', forMs: 2 * H }],
  ['silence 7 for 3 hours', { name: 'silence', id: '7', forMs: 3 * H }],
  ['mute 7 for 2 days', { name: 'silence', id: '7', forMs: 48 * H }],
  ['silence 7', { name: 'silence', id: '7', forMs: 2 * H }],
  ['silence 7 90d', { name: 'silence', id: '7', forMs: 720 * H }],
  ['pause', { name: 'pause', reason: '', forMs: null }],
  ['pause 2h', { name: 'pause', reason: '', forMs: 7_200_000 }],
  ['Pause for 30 minutes because of the move', { name: 'pause', reason: 'of the move', forMs: 1_800_000 }],
  [
    'pause 2 of the workers are being moved',
    { name: 'pause', reason: '2 of the workers are being moved', forMs: null },
  ],
  // The whole span, however it is written, and wherever it stands.
  ['pause for an hour', { name: 'pause', reason: '', forMs: H }],
  ['pause an hour', { name: 'pause', reason: '', forMs: H }],
  ['Pause for half an hour, please', { name: 'pause', reason: 'please', forMs: H / 2 }],
  ['pause for an hour and a half', { name: 'pause', reason: '', forMs: 1.5 * H }],
  ['pause for one and a half hours', { name: 'pause', reason: '', forMs: 1.5 * H }],
  ['pause two days', { name: 'pause', reason: '', forMs: 48 * H }],
  ['pause maintenance 2h', { name: 'pause', reason: 'maintenance', forMs: 2 * H }],
  ['pause for maintenance, for an hour.', { name: 'pause', reason: 'maintenance', forMs: H }],
  ['pause: the disk is moved (2 hours and 30 minutes)', { name: 'pause', reason: 'the disk is moved', forMs: 2.5 * H }],
  ['/pause_2h', { name: 'pause', reason: '', forMs: 2 * H }],
  ['/pause@selfheal_bot maintenance 2h', { name: 'pause', reason: 'maintenance', forMs: 2 * H }],
  ['please pause', { name: 'pause', reason: '', forMs: null }],
  ['please pause maintenance 2h', { name: 'pause', reason: 'maintenance', forMs: 2 * H }],
  ['freeze for an hour: the move', { name: 'pause', reason: 'the move', forMs: H }],
  ['2h pause', { name: 'pause', reason: '', forMs: 2 * H }],
  ['silence 7 for an hour', { name: 'silence', id: '7', forMs: H }],
  ['silence 7 for two days', { name: 'silence', id: '7', forMs: 48 * H }],
  ['pause 2 hours 30 minutes', { name: 'pause', reason: '', forMs: 2.5 * H }],
  ['pause 1h30m', { name: 'pause', reason: '', forMs: 1.5 * H }],
  ['pause 1.5h: the disk', { name: 'pause', reason: 'the disk', forMs: 1.5 * H }],
  ['pause 90 min', { name: 'pause', reason: '', forMs: 1.5 * H }],
  ['pause for 2 h, 2 of 3 disks are moved', { name: 'pause', reason: '2 of 3 disks are moved', forMs: 2 * H }],
  ['please pause 2 hours and 30 minutes', { name: 'pause', reason: '', forMs: 2.5 * H }],
  ['silence 3 1h 30m', { name: 'silence', id: '3', forMs: 1.5 * H }],
  ['silence 3 for 2 hours and 30 minutes', { name: 'silence', id: '3', forMs: 2.5 * H }],
  ['/silence_3_1h30m', { name: 'silence', id: '3', forMs: 1.5 * H }],
  ['show errors 1h30m', { name: 'errors', minutes: 90 }],
  ['resolve 7', { name: 'resolve', id: '7' }],
  ['merge 7 5', { name: 'merge', id: '7', into: '5' }],
  ['merge incident #7 into #5', { name: 'merge', id: '7', into: '5' }],
  ['split 7', { name: 'split', id: '7', by: null }],
  ['split 7 by path', { name: 'split', id: '7', by: 'path' }],
  ['/ungroup 7', { name: 'ungroup', id: '7' }],
  ['/close_7', { name: 'resolve', id: '7' }],
  ['pause for maintenance of the disk', { name: 'pause', reason: 'maintenance of the disk', forMs: null }],
  ['resume', { name: 'resume' }],
  ['history', { name: 'history' }],
  ['fix history', { name: 'history' }],
  ['why 7', { name: 'why', subject: '7' }],
  ['why incident 7', { name: 'why', subject: '7' }],
  ["why No module named 'x'", { name: 'why', subject: "No module named 'x'" }],
  ['logs 7', { name: 'logs', id: '7' }],
  ['help', { name: 'help' }],
  ['/start', { name: 'help' }],
  // Slash commands, as the menu and other bots' habits have them.
  ['/health', { name: 'health', minutes: null }],
  ['/health@selfheal_bot', { name: 'health', minutes: null }],
  ['/incident_7', { name: 'incident', id: '7' }],
  ['/silence 7 30m', { name: 'silence', id: '7', forMs: H / 2 }],
  ['/pull', { name: 'pull', service: null }],
  // Slips of the thumb in what only shows.
  ['helth check', { name: 'health', minutes: null }],
  ['show erors', { name: 'errors', minutes: null }],
  ['shwo errors', { name: 'errors', minutes: null }],
  ['incidetns', { name: 'incidents', all: false }],
  ['stauts', { name: 'status' }],
  ['fix erors', { name: 'fix', id: null }],
];

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['aprove 7', /^approve 7$/],
  ['resolve 7?', /^resolve 7$/],
  ['merge 7', /^merge 7 5$/],
  ['split 7 by colour', /^split 7 by path$/],
  ['split 7 by', /^split 7 by path$/],
  ['approve 7?', /^approve 7$/],
  ['rolback 7', /^rollback 7$/],
  ['dney 7', /^deny 7$/],
  ['paus', /^pause$/],
  ['silense 7 4h', /^silence 7 4h$/],
  ['silense 7 1h30m', /^silence 7 90m$/],
  ['pause 5 apples', /^pause 2h$/],
  ['pause for 5 apples', /^pause 2h$/],
  ['pause 30', /^pause 2h$/],
  ['pause 1h30', /^pause 2h$/],
  ['pause 1h 30x', /^pause 2h$/],
  ['pause 0h', /^pause 2h$/],
  ['pause -2h', /^pause 2h$/],
  ['freeze 5', /^pause 2h$/],
  ['pause maintenance -2h', /^pause 2h$/],
  ['pause until tomorrow', /^pause 2h$/],
  ['pause till 18:00', /^pause 2h$/],
  ['pause for a while', /^pause 2h$/],
  ['pause for a few hours', /^pause 2h$/],
  ['2h pause 3h', /^pause 2h$/],
  ['pause?', /^pause$/],
  ['pause an hour?', /^pause/],
  ["don't pause", /^pause$/],
  ['never pause for an hour', /^pause$/],
  ['unpause 2h', /^resume$/],
  ['resume in an hour', /^resume$/],
  ['pause because 2h ago it broke', /^pause 2h$/],
  ['approve 7 an hour', /^approve/],
  ['silence 7 5 apples', /^silence 7 2h$/],
  ['silence 7 1h30', /^silence 7 2h$/],
  ['silence 7 1h 30', /^silence 7 2h$/],
  ['silence 7 0h', /^silence 7 2h$/],
  ['approve 7 d', /^approve/],
  ["don't fix errors", /^fix errors$/],
  ['do not approve 7', /^approve 7$/],
  ['never pull', /^pull/],
  ['approve everything', /^approve/],
  ['approve 7 8', /^approve/],
  ['approve deny 7', /.*/],
  ['rollback', /^rollback/],
  ['six errors 7', /.*/],
  ['frobnicate', /.*/],
  ['halp', /^help$/],
  ['', /^help$/],
  ['7', /^incident 7$/],
  ['💥', /^help$/],
];

describe('reading what a person wrote', () => {
  it.each(UNDERSTOOD)('understands "%s"', (text, command) => {
    expect(parseCommand(text)).toEqual(command);
  });

  it.each(REFUSED)('does nothing for "%s" and suggests the nearest', (text, nearest) => {
    const found = parseCommand(text);
    expect(changesSomething(found.name)).toBe(false);
    if (found.name === 'suggestion') expect(found.nearest).toMatch(nearest);
  });

  it('does not mind in which order the words come, nor how large they are', () => {
    const usages = GRAMMAR.filter(({ usage }) => !usage.startsWith('pause') && usage.includes(' '));
    fc.assert(
      fc.property(
        fc
          .constantFrom(...usages)
          .chain(({ usage, name }) =>
            fc.tuple(fc.constant(name), fc.shuffledSubarray(usage.split(' '), { minLength: usage.split(' ').length })),
          ),
        fc.boolean(),
        ([name, words], loud) => {
          const text = loud ? words.join(' ').toUpperCase() : words.join('  ');
          expect([text, parseCommand(text).name]).toEqual([text, name]);
        },
      ),
    );
  });

  it('understands its own help', () => {
    for (const { usage, name } of GRAMMAR) expect(parseCommand(usage).name).toBe(name);
  });

  it('understands every suggestion it makes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...GRAMMAR.flatMap((g) => g.words)), fc.nat(99), fc.nat(20), (word, id, cut) => {
        const found = parseCommand(`${word.slice(0, cut % word.length)}${word.slice((cut % word.length) + 1)} ${id}`);
        if (found.name === 'suggestion') expect(parseCommand(found.nearest).name).not.toBe('suggestion');
      }),
    );
  });

  it('never breaks, whatever it is given', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => void parseCommand(text)));
    expect(() => parseCommand('a '.repeat(100_000))).not.toThrow();
  });

  it('acts only when the word that changes something is spelled out', () => {
    const words = fc.array(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 8 }), { maxLength: 5 });
    const verbs = new Set(GRAMMAR.filter((g) => g.changes).flatMap((g) => g.words));
    fc.assert(
      fc.property(words, (parts) => {
        const text = parts.join(' ');
        if (!changesSomething(parseCommand(text).name)) return;
        expect([...verbs].some((verb) => text.toLowerCase().includes(verb))).toBe(true);
      }),
    );
  });
});
