// Keeps the head and the tail of what a program prints: the beginning says what it did, the
// end says why it failed, and a flood in between costs no memory.

/** Collects bytes up to `cap`: the first half as they come, then always the latest half. */
export interface ChildOutput {
  add(chunk: Buffer): void;
  text(): string;
  readonly truncated: boolean;
}

export function createChildOutput(cap: number): ChildOutput {
  const headCap = Math.ceil(cap / 2);
  const tailCap = Math.floor(cap / 2);
  const head: Buffer[] = [];
  const tail: Buffer[] = [];
  let headBytes = 0;
  let tailBytes = 0;
  let dropped = 0;

  /** Lets whole chunks go from the front, and cuts the first that is left. */
  const trimTail = (): void => {
    while (tailBytes > tailCap) {
      const first = tail[0] as Buffer;
      const excess = Math.min(tailBytes - tailCap, first.length);
      if (excess === first.length) tail.shift();
      else tail[0] = first.subarray(excess);
      tailBytes -= excess;
      dropped += excess;
    }
  };

  return {
    add(chunk) {
      const forHead = chunk.subarray(0, headCap - headBytes);
      if (forHead.length > 0) head.push(Buffer.from(forHead));
      headBytes += forHead.length;
      const rest = chunk.subarray(forHead.length);
      if (rest.length === 0) return;
      tail.push(Buffer.from(rest));
      tailBytes += rest.length;
      trimTail();
    },
    text() {
      const gap = dropped > 0 ? [Buffer.from(`\n… ${dropped} bytes left out …\n`)] : [];
      return Buffer.concat([...head, ...gap, ...tail]).toString('utf8');
    },
    get truncated() {
      return dropped > 0;
    },
  };
}
