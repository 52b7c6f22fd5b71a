// The model that selfheal runs itself needs two things of the owner: a file, and a package that is no dependency of ours.

import { open } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { MODEL_RUNTIME } from '../core/gateway.ts';
import type { GatewayConfig } from './contract.ts';

export interface MissingForModel {
  /** Key below `gateway.embedded`. */
  readonly key: 'model' | 'runtime';
  /** What is not there. */
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
}

/** Where the package that runs a model begins; `folder` null: beside selfheal. Throws `MODULE_NOT_FOUND`. */
export function modelRuntime(folder: string | null): string {
  return createRequire(folder === null ? import.meta.url : join(folder, 'package.json')).resolve(MODEL_RUNTIME);
}

/** What the model of the configuration lacks on this machine. Looks only; nothing is loaded. */
export async function missingForModel({
  model,
  runtime,
}: NonNullable<GatewayConfig['embedded']>): Promise<readonly MissingForModel[]> {
  const wrong = await wrongWith(model);
  return [
    ...(wrong === null ? [] : [{ key: 'model', message: wrong, advice: 'name a model in GGUF' } as const]),
    ...(hasRuntime(runtime) ? [] : [withoutRuntime(runtime)]),
  ];
}

/** Null when it begins like a model of llama.cpp. */
async function wrongWith(model: string): Promise<string | null> {
  try {
    const file = await open(model, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
      return buffer.toString('latin1', 0, bytesRead) === 'GGUF' ? null : `${model} is no model in GGUF`;
    } finally {
      await file.close();
    }
  } catch {
    return `there is no file ${model} that can be read`;
  }
}

function hasRuntime(folder: string | null): boolean {
  try {
    modelRuntime(folder);
    return true;
  } catch {
    return false;
  }
}

function withoutRuntime(folder: string | null): MissingForModel {
  const install = `npm install --ignore-scripts ${MODEL_RUNTIME}`;
  return {
    key: 'runtime',
    message: `the package ${MODEL_RUNTIME} is not installed ${folder === null ? 'beside selfheal' : `in ${folder}`}`,
    advice: folder === null ? `\`${install}\` where selfheal is installed` : `\`${install}\` in ${folder}`,
  };
}
