// The cursor of a file source: one place for each log. It is handed out with every block, so taking
// over a change copies a small part only, and what was handed out never changes.

import type { Cursor } from '../../store/contract.ts';
import type { BytePath } from './byte-path.ts';
import type { Encoding } from './encoding.ts';
import type { Place } from './place.ts';
import type { TrailState } from './trail.ts';

const VERSION = 2;
const SHARES = 64;

type StoredPlace = readonly [
  dev: number,
  ino: number,
  birthMs: number,
  offset: number,
  line: number,
  headBytes: number,
  head: string,
  tail: string,
  encoding: Encoding,
];
interface StoredTrail {
  readonly place: StoredPlace | null;
  readonly history: readonly StoredPlace[];
  readonly floor: number;
}
type Share = Readonly<Record<BytePath, StoredTrail>>;

export class FileCursor {
  /** When this source was opened for the first time, epoch milliseconds: older rotated files are no news. */
  readonly since: number;
  readonly #shares: readonly Share[];

  private constructor(since: number, shares: readonly Share[]) {
    this.since = since;
    this.#shares = shares;
  }

  static empty(since: number): FileCursor {
    return new FileCursor(
      since,
      Array.from({ length: SHARES }, () => ({})),
    );
  }

  /** Null when it is not a cursor that we wrote. */
  static parse(cursor: Cursor): FileCursor | null {
    const { version, since, shares } = cursor;
    if (version !== VERSION || typeof since !== 'number' || !Array.isArray(shares)) return null;
    if (shares.length !== SHARES || !shares.every(isShare)) return null;
    return new FileCursor(since, shares);
  }

  toJson(): Cursor {
    return { version: VERSION, since: this.since, shares: this.#shares };
  }

  with(path: BytePath, state: TrailState): FileCursor {
    const stored = {
      place: state.place && pack(state.place),
      history: state.history.map(pack),
      floor: state.floor,
    };
    return this.#change(path, (share) => ({ ...share, [path]: stored }));
  }

  without(path: BytePath): FileCursor {
    return this.#change(path, ({ [path]: _, ...rest }) => rest);
  }

  get trails(): [BytePath, TrailState][] {
    return this.#shares.flatMap((share) =>
      Object.entries(share).map(([path, { place, history, floor }]): [BytePath, TrailState] => [
        path,
        { place: place && unpack(place), history: history.map(unpack), floor },
      ]),
    );
  }

  #change(path: BytePath, change: (share: Share) => Share): FileCursor {
    const index = shareOf(path);
    return new FileCursor(
      this.since,
      this.#shares.map((share, at) => (at === index ? change(share) : share)),
    );
  }
}

function shareOf(path: BytePath): number {
  let sum = 0;
  for (let at = 0; at < path.length; at += 1) sum = (sum * 31 + path.charCodeAt(at)) | 0;
  return (sum >>> 0) % SHARES;
}

function pack(place: Place): StoredPlace {
  const { dev, ino, birthMs, offset, line, headBytes, head, tail, encoding } = place;
  return [dev, ino, birthMs, offset, line, headBytes, head, tail, encoding];
}

function unpack(stored: StoredPlace): Place {
  const [dev, ino, birthMs, offset, line, headBytes, head, tail, encoding] = stored;
  return { dev, ino, birthMs, offset, line, headBytes, head, tail, encoding };
}

function isShare(value: unknown): value is Share {
  return typeof value === 'object' && value !== null && Object.values(value).every(isStoredTrail);
}

function isStoredTrail(value: unknown): boolean {
  const { place, history, floor } = (value ?? {}) as Partial<StoredTrail>;
  const places = Array.isArray(history) ? history : [null];
  return typeof floor === 'number' && (place === null || isStoredPlace(place)) && places.every(isStoredPlace);
}

function isStoredPlace(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 9) return false;
  const numbers = value.slice(0, 6).every((part) => Number.isFinite(part) && (part as number) >= 0);
  return numbers && value.slice(6).every((part) => typeof part === 'string');
}
