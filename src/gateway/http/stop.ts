// Something that may end early: an `AbortSignal`, or the far lighter one of a connection that hangs up. Each request
// has one, and making an `AbortController` for it costs as much as reading its head.

/** The part of an `AbortSignal` that waits need. */
export interface Stop {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', call: () => void): void;
  removeEventListener(type: 'abort', call: () => void): void;
}

export class Hangup implements Stop {
  aborted = false;
  reason: unknown = null;
  #calls: Array<() => void> = [];

  abort(reason: unknown): void {
    if (this.aborted) return;
    [this.aborted, this.reason] = [true, reason];
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) call();
  }

  addEventListener(_type: 'abort', call: () => void): void {
    this.#calls.push(call);
  }

  removeEventListener(_type: 'abort', call: () => void): void {
    const at = this.#calls.indexOf(call);
    if (at >= 0) this.#calls.splice(at, 1);
  }
}
