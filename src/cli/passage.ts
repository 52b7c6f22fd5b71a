// Lines and output on their way to our reader. A reader that does not read must not make the monitor wait or grow:
// what finds no room is left out, and how much is said.

/** What is needed of a stream, e.g. `process.stdout`. */
export interface Outlet {
  readonly writableLength: number;
  write(bytes: Uint8Array | string): unknown;
}

/** Bytes that may wait for a slow reader: one mebibyte. */
const ROOM_BYTES = 1024 * 1024;

/**
 * @example
 * const passage = new Passage(process.stdout, (bytes) => `${bytes} bytes were left out`);
 * passage.write(bytes);
 */
export class Passage {
  readonly #outlet: Outlet;
  readonly #lostNote: (bytes: number) => string;
  #lost = 0;
  #open = false;

  constructor(outlet: Outlet, lostNote: (bytes: number) => string) {
    this.#outlet = outlet;
    this.#lostNote = lostNote;
  }

  /** True when the last byte written did not end its line. */
  get isMidLine(): boolean {
    return this.#open;
  }

  /** Writes as it is, or leaves it out when too much waits already. Never throws, never waits. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0 || !this.#hasRoom(bytes.length)) return;
    this.#outlet.write(bytes);
    this.#open = bytes.at(-1) !== 0x0a;
  }

  /** Writes a line of ours, on a line of its own. */
  line(text: string): void {
    if (!this.#hasRoom(text.length)) return;
    this.#outlet.write(`${this.#open ? '\n' : ''}${text}\n`);
    this.#open = false;
  }

  #hasRoom(bytes: number): boolean {
    if (this.#outlet.writableLength > ROOM_BYTES) {
      this.#lost += bytes;
      return false;
    }
    if (this.#lost > 0) {
      const note = this.#lostNote(this.#lost);
      this.#lost = 0;
      this.line(note);
    }
    return true;
  }
}
