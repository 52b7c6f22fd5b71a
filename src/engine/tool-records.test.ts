// What tools say of one failure in several lines is one record, and two faults that happen to stand one above the other are two.

import { describe, expect, it } from 'vitest';
import { ErrorDetector } from './detector.ts';

const detector = new ErrorDetector({ handledTypes: new Set(['import_error', 'git_error', 'port_in_use']) });
const rows = (text: string): readonly string[] =>
  detector.scanText(text).map(({ record, type }) => `${record.span.line}-${record.span.endLine} ${type}`);

const TRACE = `Traceback (most recent call last):
  File "/srv/agent/main.py", line 3, in <module>
    import yaml
ModuleNotFoundError: No module named 'yaml'`;

describe('several lines of a tool about one failure are one record', () => {
  it.each([
    [
      'systemd',
      "Jan 05 10:00:00 vm systemd[1]: web8.2.service: Main process exited, code=killed, status=11/SEGV\nJan 05 10:00:00 vm systemd[1]: web8.2.service: Failed with result 'signal'.\nJan 05 10:00:00 vm systemd[1]: Failed to start web8.2.service - Shop.",
      '1-3 service_crash',
    ],
    [
      'git whose transfer broke off',
      'error: RPC failed; curl 56 recv failure\nerror: 812 bytes of body are still expected\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output',
      '1-4 git_error',
    ],
    [
      'a linker and who called it',
      '/usr/bin/ld: cannot find -lzstd: No such file or directory\ncollect2: error: ld returned 1 exit status\nmake: *** [Makefile:3: all] Error 1',
      '1-3 import_error',
    ],
    [
      'an announcement without a prefix and the trace below it',
      'error while preparing the plugin:\nError: Port 7001 is already in use\n    at listen (/srv/a.js:3:4)',
      '1-3 port_in_use',
    ],
  ])('%s', (_name, text, expected) => {
    expect(rows(text)).toEqual([expected]);
  });
});

describe('a line and a trace below it', () => {
  it('are one when the line announces the trace', () => {
    expect(rows(`2026-01-05 10:00:00,100 ERROR [agent] could not start\n${TRACE}`)).toEqual(['1-5 import_error']);
  });

  it('are two when each says surely something else, and nothing is done about the one because of the other', () => {
    const text = `2026-01-05 10:00:00,100 ERROR [agent] fatal: not a git repository (or any of the parent directories): .git\n${TRACE}`;
    expect(rows(text)).toEqual(['1-1 git_error', '2-5 import_error']);
    expect(detector.scanText(text).map(({ fixable }) => fixable)).toEqual([false, true]);
  });

  it('takes no fact from what a person is quoted with above a trace', () => {
    const text = `[2026-01-05 10:00:00] chat.INFO: message from 4711: "look: Error: Cannot find module 'expresss'"\n${TRACE}`;
    expect(detector.scanText(text).map(({ facts }) => facts.module)).toEqual(['yaml']);
  });
});
