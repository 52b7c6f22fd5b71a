// What every source that gives lines has to keep, whatever it reads: each line once and in order, also
// over a restart, a place that survives JSON, a prompt end, and a word when it cannot see.

import { describe, expect, it } from 'vitest';
import type { Source } from '../sources/contract.ts';
import type { Cursor } from '../store/contract.ts';
import { SourceRig } from './source-rig.ts';

/** One origin of lines, made anew for each claim. */
export interface Origin {
  readonly source: Source;
  /** Makes this line readable; resolves once it is. */
  write(line: string): Promise<void> | void;
  /** A source of the same kind whose origin does not exist. */
  readonly absent: Source;
  close(): Promise<void> | void;
}

export function keepsTheSourceContract(name: string, create: () => Promise<Origin> | Origin): void {
  async function withOrigin(
    claim: (origin: Origin, open: (cursor?: Cursor | null, source?: Source) => Promise<SourceRig>) => Promise<void>,
  ): Promise<void> {
    const origin = await create();
    const rigs: SourceRig[] = [];
    try {
      await claim(origin, (cursor = null, source = origin.source) => {
        const rig = new SourceRig(source, cursor);
        rigs.push(rig);
        return rig.ready();
      });
    } finally {
      await Promise.all(rigs.map((rig) => rig.stop()));
      await origin.close();
    }
  }

  describe(`${name}, as every source,`, () => {
    it('gives each line once and in order', () =>
      withOrigin(async (origin, open) => {
        const rig = await open();
        for (let n = 1; n <= 50; n += 1) await origin.write(`line ${n}`);
        await rig.untilLines(50, 20_000);
        expect(rig.texts).toEqual(Array.from({ length: 50 }, (_, at) => `line ${at + 1}`));
      }));

    it('goes on behind its cursor: nothing is lost and nothing comes twice', () =>
      withOrigin(async (origin, open) => {
        const seen: string[] = [];
        let cursor: Cursor | null = null;
        for (let turn = 0; turn < 4; turn += 1) {
          const rig: SourceRig = await open(cursor);
          await origin.write(`seen ${turn}`);
          await rig.untilLines(turn === 0 ? 1 : 2, 20_000);
          cursor = await rig.stop();
          seen.push(...rig.texts);
          await origin.write(`missed ${turn}`);
        }
        expect(cursor).not.toBeNull();
        expect(seen).toEqual(['seen 0', 'missed 0', 'seen 1', 'missed 1', 'seen 2', 'missed 2', 'seen 3']);
      }));

    it('keeps its place when it was stopped before anything came', () =>
      withOrigin(async (origin, open) => {
        const first = await open();
        await first.until((rig) => rig.cursor !== null, 20_000);
        const cursor = await first.stop();
        await origin.write('while away');
        const second = await open(cursor);
        await second.untilLines(1, 20_000);
        expect(second.texts).toEqual(['while away']);
      }));

    it('takes no harm from a cursor that is not its own', () =>
      withOrigin(async (origin, open) => {
        const rig = await open({ something: 'else', count: -1 });
        await origin.write('first');
        await rig.untilLines(1, 20_000);
        expect(rig.texts).toContain('first');
      }));

    it('says that it is blind when there is nothing to read, and ends when told to', () =>
      withOrigin(async (origin, open) => {
        const rig = await open(null, origin.absent);
        await rig.until((seen) => seen.sights.some(({ kind }) => kind === 'blind'), 20_000);
        expect(rig.sights.find(({ kind }) => kind === 'blind')?.reason).not.toBe('');
        await rig.stop();
      }));
  });
}
