import { expect, it } from 'vitest';
import { createScratch, until } from '../testing/scratch.ts';
import { lockOnHost } from './host-lock.ts';

const resource = `path:/srv/host-lock-test-${process.pid}`;

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
  const scratch = createScratch();
  try {
    const program = [
      `import { lockOnHost } from ${JSON.stringify(new URL('./host-lock.ts', import.meta.url).pathname)};`,
      `await lockOnHost(${JSON.stringify(resource)});`,
      `console.log('held'); setInterval(() => {}, 1000);`,
    ].join('\n');
    const file = scratch.write('hold.mjs', compiled(program));
    const holder = await scratch.start([process.execPath, file], { ready: 'held' });
    expect(await lockOnHost(resource)).toBeNull();
    holder.child.kill('SIGKILL');
    await holder.ended;
    let release: (() => Promise<void>) | null = null;
    expect(await until(async () => (release = await lockOnHost(resource)) !== null)).toBe(true);
    await (release as (() => Promise<void>) | null)?.();
  } finally {
    await scratch.close();
  }
});

/** Plain Node cannot load TypeScript on every version we run on: the few lines of the lock stand here as they are. */
function compiled(program: string): string {
  return program.replace(
    /^import .*$/m,
    `import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
const lockOnHost = (resource) => new Promise((resolve) => {
  const name = createHash('sha256').update(resource).digest('hex').slice(0, 40);
  createServer().listen('\\0selfheal/' + name, resolve);
});`,
  );
}
