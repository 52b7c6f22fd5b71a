// Writes one whole file where the plan saw what it saw, and can put back the very file that was there.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { WriteFileStep } from '../../core/plan.ts';
import { type Effect, type EffectContext, EffectError, type Snapshot } from '../contract.ts';
import { envLines } from '../parse.ts';
import {
  chmodSafely,
  clearLeftovers,
  type Found,
  hasLeftovers,
  lookAt,
  moveSafely,
  readSafely,
  removeSafely,
  sha256Of,
  shown,
  writeFileSafely,
} from '../safe-files.ts';

/** What the journal keeps; the contents lie in the snapshot folder as `before` and `after`. */
interface WriteRecord {
  readonly before: {
    readonly sha256: string;
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
  } | null;
  readonly after: string;
  /** Name under which the present file lives on; null when it does not. */
  readonly keepAs: string | null;
}

const record = (snapshot: Snapshot): WriteRecord => snapshot as unknown as WriteRecord;

export const writeFileEffect: Effect<WriteFileStep> = {
  kind: 'write-file',

  async snapshot(step, context) {
    const found = await readSafely(step.path);
    const before = requireAsPlanned(step, found);
    const content = await contentFor(step, before?.content ?? Buffer.alloc(0), context);
    await mkdir(context.snapshotDirectory, { recursive: true, mode: 0o700 });
    if (before) await keep(context, 'before', before.content);
    await keep(context, 'after', content);
    const { mode, uid, gid } = before?.stats ?? { mode: 0, uid: -1, gid: -1 };
    const kept: WriteRecord = {
      before: before && { sha256: before.sha256, mode: mode & 0o7777, uid, gid },
      after: sha256Of(content),
      keepAs: before ? await freeName(step, context) : null,
    };
    return { ...kept };
  },

  async apply(step, snapshot, context) {
    const { before, after, keepAs } = record(snapshot);
    const content = await readFile(join(context.snapshotDirectory, 'after'));
    if (sha256Of(content) !== after) throw new EffectError('failed', 'the kept new content is damaged');
    await writeFileSafely({
      path: step.path,
      content,
      before: before?.sha256 ?? null,
      mode: step.mode,
      tag: tagOf(context),
      ...(keepAs === null ? {} : { keepAs: Buffer.from(keepAs) }),
    });
    const kept = keepAs ?? (before && join(context.snapshotDirectory, 'before'));
    return `wrote ${content.length} bytes to ${step.path}${kept ? `; what was there is kept as ${kept}` : ''}`;
  },

  async probe(step, snapshot, context) {
    const { before, after, keepAs } = record(snapshot);
    await clearLeftovers(step.path, tagOf(context), keepAs === null ? undefined : Buffer.from(keepAs));
    const found = await readSafely(step.path);
    if (found.kind === 'file' && found.sha256 === after) return 'done';
    if (found.kind === 'absent') return before === null ? 'not-done' : 'unclear';
    return found.kind === 'file' && found.sha256 === before?.sha256 ? 'not-done' : 'unclear';
  },

  async undo(step, snapshot, context) {
    const { before, keepAs } = record(snapshot);
    const twin = keepAs === null ? undefined : Buffer.from(keepAs);
    await clearLeftovers(step.path, tagOf(context), twin);
    const found = await readSafely(step.path);
    requireOurs(step, found, record(snapshot));
    if (before === null) return removeSafely(step.path, record(snapshot).after);
    const kept = keepAs === null ? null : await keptFile(step, keepAs, before.sha256);
    if (kept) return returnKept(step, found, kept);
    if (found.kind !== 'file' || found.sha256 !== before.sha256) await rewrite(step, found, record(snapshot), context);
    const mode = (await lookAt(step.path))?.mode ?? before.mode;
    if ((mode & 0o7777) !== before.mode) await chmodSafely(step.path, mode & 0o7777, before.mode);
  },

  async differences(step, snapshot, context) {
    const { before, keepAs } = record(snapshot);
    const found = await readSafely(step.path);
    const differences: string[] = [];
    if (await hasLeftovers(step.path, tagOf(context))) differences.push('a temporary file is left beside it');
    if (keepAs !== null && (await lookAt(join(dirname(step.path), keepAs))))
      differences.push(`${keepAs} is still there`);
    if (before === null && found.kind !== 'absent') differences.push(`${step.path} is there, was not`);
    if (before !== null) differences.push(...fileDifferences(step.path, found, before));
    return differences;
  },
};

const tagOf = (context: EffectContext): string => `${context.plan}-${context.step}`;

async function keep(context: EffectContext, name: string, content: Uint8Array): Promise<void> {
  await writeFile(join(context.snapshotDirectory, name), content, { mode: 0o600, flush: true });
}

function requireAsPlanned(step: WriteFileStep, found: Found): Extract<Found, { kind: 'file' }> | null {
  if (found.kind === 'link') throw new EffectError('refused', `${step.path} is a link`);
  if (found.kind === 'unfit') throw new EffectError('refused', `${step.path} ${found.reason}`);
  const sha256 = found.kind === 'file' ? found.sha256 : null;
  if (sha256 !== step.before) throw new EffectError('precondition', `${step.path} has changed since the plan was made`);
  return found.kind === 'file' ? found : null;
}

async function contentFor(step: WriteFileStep, present: Buffer, context: EffectContext): Promise<Uint8Array> {
  const { content } = step;
  if ('text' in content) return Buffer.from(content.text);
  if ('firstBytes' in content) return present.subarray(0, content.firstBytes);
  if ('added' in content) return withLines(present, content.added);
  const id = 'copy' in content ? content.copy : content.append.copy;
  const copy = await context.goodCopyContent(id);
  if (!copy) throw new EffectError('precondition', 'the stored copy is not there any more');
  return 'copy' in content ? copy : appended(present, copy, content.append.keys);
}

/** The file as it is, and the missing assignments at its end. Nothing that stands there is touched. */
function appended(present: Buffer, copy: Uint8Array, keys: readonly string[]): Buffer {
  const lines = envLines(Buffer.from(copy).toString('utf8'), keys);
  if (lines.length === 0) throw new EffectError('precondition', 'the stored copy does not have these keys');
  return withLines(present, `${lines.join('\n')}\n`);
}

function withLines(present: Buffer, text: string): Buffer {
  const gap = present.length > 0 && present.at(-1) !== 0x0a ? '\n' : '';
  return Buffer.concat([present, Buffer.from(gap + text)]);
}

async function freeName(step: WriteFileStep, context: EffectContext): Promise<string | null> {
  if (step.keepAs === undefined) return null;
  const wish = step.keepAs.replaceAll('{plan}', context.plan);
  if (wish === '' || wish.includes('/') || wish.includes('\0'))
    throw new EffectError('refused', `not a file name: ${wish}`);
  for (let number = 1; ; number++) {
    const name = number === 1 ? wish : `${wish}-${number}`;
    if (!(await lookAt(join(dirname(step.path), name)))) return name;
  }
}

/** An undo takes back what we wrote. What somebody else wrote afterwards is theirs. */
function requireOurs(step: WriteFileStep, found: Found, { before, after }: WriteRecord): void {
  if (found.kind === 'absent') return;
  const known = found.kind === 'file' && (found.sha256 === after || found.sha256 === before?.sha256);
  if (!known) throw new EffectError('refused', `${step.path} was changed by somebody else after we wrote it`);
}

interface Kept {
  readonly path: string;
  readonly inode: number;
}

async function keptFile(step: WriteFileStep, keepAs: string, sha256: string): Promise<Kept | null> {
  const path = join(dirname(step.path), keepAs);
  const found = await readSafely(path);
  return found.kind === 'file' && found.sha256 === sha256 ? { path, inode: found.stats.ino } : null;
}

/** The old file itself comes back, with everything it had. */
async function returnKept(step: WriteFileStep, found: Found, kept: Kept): Promise<void> {
  if (found.kind === 'file') await removeSafely(step.path, found.sha256);
  await moveSafely(kept.path, step.path, kept.inode);
}

async function rewrite(step: WriteFileStep, found: Found, was: WriteRecord, context: EffectContext): Promise<void> {
  const content = await readFile(join(context.snapshotDirectory, 'before'));
  if (!was.before || sha256Of(content) !== was.before.sha256)
    throw new EffectError('failed', 'the kept copy is damaged');
  const before = found.kind === 'file' ? found.sha256 : null;
  await writeFileSafely({
    path: step.path,
    content,
    before,
    mode: was.before.mode,
    owner: was.before,
    tag: tagOf(context),
  });
}

function fileDifferences(path: string, found: Found, was: NonNullable<WriteRecord['before']>): readonly string[] {
  if (found.kind !== 'file') return [`${shown(path)} is not the file it was`];
  if (found.sha256 !== was.sha256) return [`the content of ${path} differs`];
  const { mode, uid, gid } = found.stats;
  const same = (mode & 0o7777) === was.mode && uid === was.uid && gid === was.gid;
  return same ? [] : [`mode or owner of ${path} differs`];
}
