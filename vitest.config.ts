import { defineConfig } from 'vitest/config';

// Real programs run in these tests: two at a time, with time to start a venv on a machine that is slow and busy. No test
// relies on these times: they end what hangs.
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['**/*.long.test.ts', 'node_modules/**', 'dist/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
