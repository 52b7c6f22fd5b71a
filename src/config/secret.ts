// A value that never prints itself: not in errors, JSON, templates, console.log or inspect.

const inspect = Symbol.for('nodejs.util.inspect.custom');

/**
 * Wraps a secret so that only `reveal()` gives it out.
 *
 * @example
 * const token = new Secret('123:abc');
 * `${token}`            // '[secret]'
 * JSON.stringify(token) // '"[secret]"'
 */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  /** The value itself. Call it where it is used, and nowhere else. */
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect](): string {
    return '[secret]';
  }
}
