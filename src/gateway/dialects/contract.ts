// What the three dialects have in common: one conversation, one answer, one stream of events. Each dialect reads
// its own wire form into these and writes it from them, so any of them can be translated into any other.

export const DIALECT_NAMES = ['messages', 'chat', 'responses'] as const;
/** `messages`: Anthropic Messages. `chat`: OpenAI Chat Completions. `responses`: OpenAI Responses. */
export type DialectName = (typeof DIALECT_NAMES)[number];

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };
export type JsonObject = { readonly [key: string]: Json | undefined };

export type ImageSource =
  | { readonly kind: 'data'; readonly mediaType: string; readonly base64: string }
  | { readonly kind: 'url'; readonly url: string };

export type ResultPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'image'; readonly image: ImageSource };

export type Part =
  | ResultPart
  /** `input` is JSON as text: models make mistakes in it, and a translator must not correct them. */
  | { readonly kind: 'tool-call'; readonly id: string; readonly name: string; readonly input: string }
  | {
      readonly kind: 'tool-result';
      readonly id: string;
      readonly content: readonly ResultPart[];
      readonly isError: boolean;
    };

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly parts: readonly Part[];
}

export interface Tool {
  readonly name: string;
  readonly description: string | null;
  /** JSON Schema of its input. */
  readonly schema: JsonObject;
}

export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

/** A request as all dialects can say it. What only one of them has (caching, signatures, tiers) is left out. */
export interface Conversation {
  readonly model: string;
  readonly system: string | null;
  readonly turns: readonly Turn[];
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice | null;
  /** False: one call at a time. */
  readonly parallelTools: boolean;
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly stop: readonly string[];
  readonly stream: boolean;
}

export type StopReason = 'end' | 'length' | 'tool-call' | 'stop-sequence' | 'refusal';

export interface Usage {
  readonly input: number;
  readonly output: number;
}

export type AnswerPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tool-call'; readonly id: string; readonly name: string; readonly input: string };

export interface Answer {
  readonly id: string;
  readonly model: string;
  readonly parts: readonly AnswerPart[];
  readonly stop: StopReason;
  readonly usage: Usage;
}

/** A streamed answer, event by event. `arguments` belong to the last `tool-call`. */
export type AnswerEvent =
  | { readonly kind: 'start'; readonly id: string; readonly model: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'reasoning'; readonly text: string }
  | { readonly kind: 'tool-call'; readonly id: string; readonly name: string }
  | { readonly kind: 'arguments'; readonly text: string }
  | { readonly kind: 'usage'; readonly usage: Partial<Usage> }
  | { readonly kind: 'stop'; readonly reason: StopReason }
  /** The terminal event of the dialect: without it a stream has not ended, it has broken. */
  | { readonly kind: 'end' }
  /** An error inside the stream, as the upstream's JSON. */
  | { readonly kind: 'error'; readonly body: Json };

/** One server-sent event. */
export interface Frame {
  readonly event: string | null;
  readonly data: string;
}

/** What a frame means for a stream that is being passed on. `stop`: the model is through; the terminal event follows. */
export type Glance = 'quiet' | 'text' | 'reasoning' | 'tool' | 'error' | 'stop' | 'end';

/** Turns the frames of one stream into events. */
export interface StreamReader {
  push(frame: Frame): readonly AnswerEvent[];
}

/** Turns events into the bytes of one stream. */
export interface StreamWriter {
  write(event: AnswerEvent): string;
}

/** How far a client has come in an answer: where a writer goes on when a stream is continued elsewhere. */
export interface Progress {
  readonly started: boolean;
  readonly id: string;
  readonly model: string;
  /** All text the client has. */
  readonly text: string;
  /** Blocks or items begun so far, and the kind of the one that is open. */
  readonly blocks: number;
  readonly open: 'text' | 'reasoning' | null;
  /** Text of the block that is open, and its id where the dialect has one. */
  readonly openText: string;
  readonly openId: string;
  /** Where a block has parts: has its part begun, has it ended? Elsewhere `open`. */
  readonly openPart: 'none' | 'open' | 'done';
  readonly usage: Usage;
  /** Sequence number of the dialect's next event, where it has one. */
  readonly sequence: number;
  /** Items that are complete, in the dialect's own form, where its terminal event repeats them. */
  readonly items: readonly Json[];
}

/** What the client is told when nobody can answer. */
export interface Trouble {
  readonly status: number;
  /** Type word of the dialects: `rate_limit_error`, `overloaded_error`, `api_error`, `invalid_request_error`, … */
  readonly type: string;
  readonly message: string;
}

export interface Dialect {
  readonly name: DialectName;
  /** Below the root of the API, e.g. `/v1/messages`. */
  readonly path: string;
  /**
   * Byte sequences of which every frame that is an error, a tool call, a stop, an end or a ping holds at least one. A chunk without any
   * is only content, and is passed on unread.
   */
  readonly markers: readonly string[];
  glance(frame: Frame): Glance;
  /** Why no other upstream could take this request over, e.g. state that only the first one holds; null when one could. */
  boundTo(body: JsonObject): string | null;
  readRequest(body: JsonObject): Conversation;
  writeRequest(conversation: Conversation): JsonObject;
  readAnswer(body: JsonObject): Answer;
  writeAnswer(answer: Answer): JsonObject;
  reader(): StreamReader;
  /** `from` is where the client stands; absent: at the beginning. */
  writer(from?: Progress): StreamWriter;
  /** How far the bytes of a stream of this dialect have brought a client. */
  progress(frames: readonly Frame[]): Progress;
  errorBody(trouble: Trouble): JsonObject;
  errorFrame(trouble: Trouble): string;
  /** The terminal event alone, for servers that leave it out; empty where it says more than that. */
  readonly terminal: string;
  /** Keeps a waiting connection alive and means nothing. */
  readonly ping: string;
}
