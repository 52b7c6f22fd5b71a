// Asks a Python interpreter one question: a script on stdin, data as JSON, the answer as JSON on a
// channel that nothing the script imports can disturb by printing.

import { randomUUID } from 'node:crypto';
import type { Run } from './contract.ts';

/** Reads program and data from stdin, so that neither is ever part of a command line. */
const LOADER =
  'import json,os,sys;m=json.load(sys.stdin);o=os.dup(1);' +
  'exec(compile(m["script"],"selfheal","exec"),{"data":m["data"],"__name__":"selfheal",' +
  '"answer":lambda v:os.write(o,("\\n"+m["mark"]+json.dumps(v)+"\\n").encode())})';

const ANSWER_CAP = 16 * 1024 * 1024;
const ASK_MS = 30_000;

export interface Question {
  readonly interpreter: string;
  /** The child runs as the owner of this path. */
  readonly owner: string;
  readonly script: string;
  readonly data?: Readonly<Record<string, unknown>>;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export type PythonAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string; readonly timedOut: boolean };

/**
 * Runs the script isolated (`-I`: no PYTHON* variables, no user packages, nothing from the folder it is in) and
 * without writing bytecode, in a folder that belongs to nobody's project.
 */
export async function askPython(run: Run, question: Question): Promise<PythonAnswer> {
  const mark = `${randomUUID()} `;
  const result = await run([question.interpreter, '-I', '-B', '-c', LOADER], {
    cwd: '/',
    asOwnerOf: question.owner,
    timeoutMs: question.timeoutMs ?? ASK_MS,
    input: JSON.stringify({ script: question.script, data: question.data ?? {}, mark }),
    outputCap: ANSWER_CAP,
    ...(question.signal ? { signal: question.signal } : {}),
  });
  const at = result.stdout.lastIndexOf(mark);
  const line = at < 0 ? null : (result.stdout.slice(at + mark.length).split('\n')[0] ?? null);
  if (line === null) return { ok: false, error: whyNot(result), timedOut: result.timedOut };
  try {
    return { ok: true, value: JSON.parse(line) };
  } catch {
    return { ok: false, error: 'the interpreter gave half an answer', timedOut: false };
  }
}

function whyNot(result: Awaited<ReturnType<Run>>): string {
  if (result.failure !== null) return result.failure;
  if (result.timedOut) return 'the interpreter did not answer in time';
  const last = result.stderr.trim().split('\n').at(-1) ?? '';
  return last || `the interpreter ended with ${result.signal ?? `code ${result.code}`} and no answer`;
}
