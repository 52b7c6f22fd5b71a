import { chmodSync, chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { compile } from '../testing/compiled.ts';
import { createScratch, type Scratch, until } from '../testing/scratch.ts';
import { lockOnHost, type Release } from './host-lock.ts';

const resource = `path:/srv/host-lock-test-${process.pid}`;
let scratch: Scratch;
beforeEach(() => {
  scratch = createScratch();
});
afterEach(() => scratch.close());

it('is held by one at a time, and free again when it is released', async () => {
  const release = await lockOnHost(resource);
  expect(await lockOnHost(resource)).toBeNull();
  expect(await lockOnHost(`${resource}/else`).then((other) => other?.())).toBeUndefined();
  await release?.();
  const again = await lockOnHost(resource);
  expect(again).not.toBeNull();
  await again?.();
});

it('is given back by the kernel when its holder is killed', async () => {
  const compiled = await compile(['store/host-lock.ts']);
  scratch.later(() => compiled.remove());
  const program = await compiled.program(
    'hold.js',
    `import { lockOnHost } from './store/host-lock.js';
await lockOnHost(${JSON.stringify(resource)});
console.log('held'); setInterval(() => {}, 1000);`,
  );
  const holder = await scratch.start([process.execPath, program], { ready: 'held' });
  expect(await lockOnHost(resource)).toBeNull();
  holder.child.kill('SIGKILL');
  await holder.ended;
  let release: Release | null = null;
  expect(await until(async () => (release = await lockOnHost(resource)) !== null)).toBe(true);
  await (release as Release | null)?.();
});

it('cannot be held against us by a name that any user could take', async () => {
  const name = createHash('sha256').update(resource).digest('hex').slice(0, 40);
  const squatter = createServer().listen(`\0selfheal/${name}`);
  await once(squatter, 'listening');
  scratch.later(() => void squatter.close());
  const release = await lockOnHost(resource);
  expect(release).not.toBeNull();
  await release?.();
});

it.runIf(process.getuid?.() === 0)('passes over folders that somebody else may write', async () => {
  const [wide, foreign, link, own] = ['wide', 'foreign', 'link', 'own'].map((name) => scratch.path(name));
  mkdirSync(wide as string);
  chmodSync(wide as string, 0o777);
  mkdirSync(foreign as string);
  chownSync(foreign as string, 65_534, 65_534);
  symlinkSync('wide', link as string);
  const folders = [wide, foreign, link, own] as string[];
  const release = await lockOnHost(resource, folders);
  expect(await lockOnHost(resource, [own as string])).toBeNull();
  await release?.();
});
