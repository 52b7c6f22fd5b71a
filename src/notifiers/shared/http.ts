// One outgoing call: a deadline, no redirects, a cap on what is read, and errors rebuilt from codes alone.
// `fetch` puts whole URLs into its messages, and a bot token is part of a URL.

/** Bytes of an answer that are read at most: 1 MiB. */
const ANSWER_CAP = 1024 * 1024;

/** Errors of which we know that the request never left: nothing can have arrived. */
const NEVER_LEFT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ERR_INVALID_URL',
]);

/** No usable answer came. The message holds a code, never an address. */
export class NoAnswer extends Error {
  /** True when the other side may have done it all the same. */
  readonly mayHaveArrived: boolean;
  constructor(code: string, mayHaveArrived: boolean) {
    super(`no answer (${code})`);
    this.name = 'NoAnswer';
    this.mayHaveArrived = mayHaveArrived;
  }
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: NonNullable<RequestInit['headers']>;
  readonly body?: RequestInit['body'];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface CallAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/**
 * Calls `url` and reads its answer. Throws `NoAnswer`, and nothing else.
 *
 * @example const { status } = await call('https://example.org/hook', { method: 'POST', body, timeoutMs: 10_000 });
 */
export async function call(url: string, options: CallOptions): Promise<CallAnswer> {
  const { timeoutMs, signal, ...init } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const both = signal ? AbortSignal.any([signal, deadline]) : deadline;
  try {
    // A stream as a body needs `duplex`; the installed types do not know it yet.
    const request = { ...init, signal: both, redirect: 'manual', duplex: 'half' } as RequestInit;
    const response = await fetch(url, request);
    return { status: response.status, headers: response.headers, text: await readCapped(response) };
  } catch (error) {
    if (error instanceof NoAnswer) throw error;
    throw new NoAnswer(
      codeOf(error, { stopped: signal?.aborted ?? false, late: deadline.aborted }),
      !NEVER_LEFT.has(causeCode(error)),
    );
  }
}

async function readCapped(response: Response): Promise<string> {
  if (!response.body) return '';
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > ANSWER_CAP) {
      await reader.cancel().catch(() => {});
      throw new NoAnswer('answer too long', true);
    }
    text += decoder.decode(value, { stream: true });
  }
}

function codeOf(error: unknown, why: { readonly stopped: boolean; readonly late: boolean }): string {
  if (why.stopped) return 'stopped';
  if (why.late) return 'timeout';
  return causeCode(error) || 'network';
}

/** The code of the failure; anything that is not plainly a code is dropped. */
function causeCode(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { code?: unknown } };
  for (const found of [cause?.code, code])
    if (typeof found === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(found)) return found;
  return '';
}
