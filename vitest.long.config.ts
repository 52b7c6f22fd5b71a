import { defineConfig } from 'vitest/config';

// The slow ones: kill points, floods, soaks. One at a time, for they measure.
export default defineConfig({
  test: {
    include: ['src/**/*.long.test.ts', 'test/**/*.long.test.ts'],
    exclude: ['node_modules/**', 'dist/**'],
    passWithNoTests: true,
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 30 * 60_000,
    hookTimeout: 10 * 60_000,
  },
});
