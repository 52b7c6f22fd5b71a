// The runtime of llama.cpp from npm, an optional peer: what of it is used, and where it is found.

import { pathToFileURL } from 'node:url';
import { modelRuntime } from '../../config/model-runtime.ts';
import type { EmbeddedSpec } from './contract.ts';

export interface Completion {
  readonly content?: string;
  readonly text: string;
  readonly tool_calls?: readonly {
    readonly id?: string;
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
  readonly tokens_predicted: number;
  readonly tokens_evaluated: number;
  /** It has spoken until it was told to stop. */
  readonly stopped_limit?: boolean | number;
}

export interface LoadedModel {
  completion(options: object, each: (token: { readonly content?: string }) => void): Promise<Completion>;
  stopCompletion(): void;
  getFormattedChat(
    messages: readonly object[],
    template: undefined,
    options: object,
  ): Promise<{ readonly prompt: string }>;
  tokenize(text: string): Promise<{ readonly tokens: ArrayLike<number> }>;
}

interface Runtime {
  loadModel(options: object): Promise<LoadedModel>;
}

/** Rejects when the runtime or the model is not there. A model that is broken in a worse way takes the process along. */
export async function loadModel({ runtime, model, contextTokens, threads }: EmbeddedSpec): Promise<LoadedModel> {
  const loaded = (await import(pathToFileURL(modelRuntime(runtime)).href)) as Runtime & { readonly default?: Runtime };
  return (loaded.default ?? loaded).loadModel({ model, n_ctx: contextTokens, n_threads: threads, n_gpu_layers: 0 });
}
