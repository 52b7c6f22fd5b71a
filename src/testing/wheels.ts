// Makes wheels by hand and serves them as a package index (PEP 503) on the loopback: what pip needs
// to install something, without a network and without a build tool.

import { createHash } from 'node:crypto';
import { zip } from './archives.ts';
import type { KitWheel } from './drill-kit.ts';
import { serve, type LocalServer } from './local-server.ts';

/** A wheel file, ready to be served. */
export interface MadeWheel {
  readonly filename: string;
  readonly data: Buffer;
  /** Hex. */
  readonly sha256: string;
  readonly yanked: boolean;
  readonly published: string | null;
}

/**
 * Builds a pure wheel.
 *
 * @example
 * makeWheel({ name: 'wordtrim', version: '1.2.0', files: { 'wordtrim/__init__.py': 'x = 1\n' } }).filename;
 * // 'wordtrim-1.2.0-py3-none-any.whl'
 */
export function makeWheel(wheel: KitWheel): MadeWheel {
  const data = zip(wheelFiles(wheel));
  const sha256 = createHash('sha256').update(data).digest('hex');
  const filename = `${stem(wheel)}-py3-none-any.whl`;
  return { filename, data, sha256, yanked: wheel.yanked ?? false, published: wheel.published ?? null };
}

/** All files of the wheel with its metadata, as an installer puts them into site-packages. */
export function wheelFiles(wheel: KitWheel): Readonly<Record<string, string>> {
  const info = `${stem(wheel)}.dist-info`;
  const scripts = Object.entries(wheel.scripts ?? {});
  const files: Record<string, string> = {
    ...wheel.files,
    [`${info}/METADATA`]: [
      'Metadata-Version: 2.1',
      `Name: ${wheel.name}`,
      `Version: ${wheel.version}`,
      ...(wheel.requires ?? []).map((requirement) => `Requires-Dist: ${requirement}`),
      '',
    ].join('\n'),
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: selfheal\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
  };
  if (scripts.length > 0) {
    const lines = scripts.map(([name, target]) => `${name} = ${target}`);
    files[`${info}/entry_points.txt`] = `[console_scripts]\n${lines.join('\n')}\n`;
  }
  const record = Object.entries(files).map(([path, text]) => {
    const hash = createHash('sha256').update(text).digest('base64url');
    return `${path},sha256=${hash},${Buffer.byteLength(text)}`;
  });
  return { ...files, [`${info}/RECORD`]: `${record.join('\n')}\n${info}/RECORD,,\n` };
}

function stem({ name, version }: KitWheel): string {
  return `${name.replace(/[-.]+/g, '_')}-${version}`;
}

export interface PackageIndex extends LocalServer {
  /** What pip's `--index-url` takes. */
  readonly indexUrl: string;
  /** Files fetched so far, by file name. */
  downloads(): readonly string[];
}

/** Serves wheels on 127.0.0.1 until closed. */
export async function servePackageIndex(wheels: readonly MadeWheel[]): Promise<PackageIndex> {
  const fetched: string[] = [];
  const normal = (name: string) => name.toLowerCase().replace(/[-_.]+/g, '-');
  const server = await serve((path, headers) => {
    const file = wheels.find((wheel) => path === `/files/${wheel.filename}`);
    if (file) {
      fetched.push(file.filename);
      return { body: file.data, type: 'application/octet-stream' };
    }
    const name = /^\/simple\/([^/]+)\/?$/.exec(path)?.[1];
    const listed = wheels.filter((wheel) => name && normal(wheel.filename.split('-')[0] ?? '') === normal(name));
    if (listed.length === 0) return null;
    const speaksJson = headers.accept?.includes(JSON_API) === true && listed.some((wheel) => wheel.published !== null);
    return speaksJson ? { body: json(name ?? '', listed), type: JSON_API } : { body: page(listed), type: 'text/html' };
  });
  return { ...server, indexUrl: `${server.url}/simple`, downloads: () => fetched };
}

const JSON_API = 'application/vnd.pypi.simple.v1+json';

/** The same as JSON (PEP 691), which can say when a file was published. */
function json(name: string, wheels: readonly MadeWheel[]): string {
  const files = wheels.map((wheel) => ({
    filename: wheel.filename,
    url: `/files/${wheel.filename}`,
    hashes: { sha256: wheel.sha256 },
    size: wheel.data.length,
    yanked: wheel.yanked,
    ...(wheel.published === null ? {} : { 'upload-time': wheel.published }),
  }));
  const versions = [...new Set(wheels.map((wheel) => wheel.filename.split('-')[1]))];
  return JSON.stringify({ meta: { 'api-version': '1.1' }, name, files, versions });
}

function page(wheels: readonly MadeWheel[]): string {
  const links = wheels.map((wheel) => {
    const yanked = wheel.yanked ? ' data-yanked="broken"' : '';
    return `<a href="/files/${wheel.filename}#sha256=${wheel.sha256}"${yanked}>${wheel.filename}</a>`;
  });
  return `<!DOCTYPE html><html><body>${links.join('\n')}</body></html>`;
}
