// Looking at a commit without letting it near the project: one file of it, the whole of it in a scratch folder, or a
// merge of one file in memory. Compiling never runs the code; running it needs the owner's leave.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { formatOf } from '../core/config-format.ts';
import type { CheckResult } from '../core/plan.ts';
import type { GitProbe, GitRepository, Run } from './contract.ts';
import { git, type GitPlace, gitSaid, isCommit } from './git-command.ts';
import type { Mirrors } from './git-upstream.ts';
import { parseConfig } from './parse.ts';
import { lookAt, readEntry, sha256Of } from './safe-files.ts';

const TEXT_CAP = 1024 * 1024;
const TRIAL_MS = 60_000;
/** Arguments of one call of an interpreter. */
const MOST_FILES = 200;

export type Trial = Parameters<GitProbe['tryCommit']>[2];

interface Means {
  readonly run: Run;
  readonly mirrors: Mirrors;
}

/** Text of one file at a commit; null when it is absent, larger than 1 MiB or not UTF-8. */
export async function textAt(
  means: Means,
  repository: GitRepository,
  commit: string,
  path: string,
): Promise<string | null> {
  const found = await means.mirrors.around(repository.directory);
  if (!found || !isCommit(commit) || /^(?:\.{0,2}\/|$)/.test(path)) return null;
  const answer = await git(means.run, found.mirror, ['cat-file', 'blob', `${commit}:${path}`], { outputCap: TEXT_CAP });
  return answer.ok && !answer.stdout.includes('\uFFFD') ? answer.stdout : null;
}

export async function withWorktree<T>(
  means: Means,
  repository: GitRepository,
  commit: string,
  use: (directory: string) => Promise<T>,
): Promise<T | null> {
  const found = await means.mirrors.around(repository.directory);
  if (!found || !isCommit(commit)) return null;
  const scratch = await means.mirrors.scratch(found.place, 'trial');
  try {
    return (await checkOut(means.run, found.mirror, commit, scratch)) ? await use(join(scratch, 'tree')) : null;
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function checkOut(run: Run, mirror: GitPlace, commit: string, scratch: string): Promise<boolean> {
  const env = { GIT_INDEX_FILE: join(scratch, 'index') };
  const read = await git(run, mirror, ['read-tree', commit], { env });
  if (!read.ok) return false;
  const args = ['checkout-index', '--all', '--force', '--quiet', `--prefix=${join(scratch, 'tree')}/`];
  // The files land below the prefix; the work tree named here is only what git insists on having.
  const written = await git(run, { ...mirror, workTree: scratch }, args, { env });
  return written.ok;
}

// ---------------------------------------------------------------- merging one file

export async function mergedText(
  means: Means,
  repository: GitRepository,
  commit: string,
  path: string,
): ReturnType<GitProbe['mergedText']> {
  const found = await means.mirrors.around(repository.directory);
  if (!found || repository.head === null) return null;
  const ours = await readEntry(join(repository.directory, path), { maxBytes: TEXT_CAP });
  const base = await textAt(means, repository, repository.head, path);
  const theirs = await textAt(means, repository, commit, path);
  if (ours.kind !== 'file' || !isText(ours.content) || base === null || theirs === null) return null;
  const scratch = await means.mirrors.scratch(found.place, 'merge');
  try {
    await writeFile(join(scratch, 'ours'), ours.content);
    await writeFile(join(scratch, 'base'), base);
    await writeFile(join(scratch, 'theirs'), theirs);
    const names = ['ours', 'base', 'theirs'].map((name) => join(scratch, name));
    const merged = await git(means.run, found.mirror, ['merge-file', '-p', '--quiet', ...names], {
      outputCap: 3 * TEXT_CAP,
    });
    // The exit code is the number of conflicts; 255 is an error.
    if (merged.code === null || merged.code > 127 || merged.truncated) return null;
    return {
      clean: merged.code === 0,
      text: merged.stdout,
      base,
      oursSha256: ours.sha256,
      theirsSha256: sha256Of(Buffer.from(theirs)),
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function isText(content: Buffer): boolean {
  return !content.includes(0) && Buffer.from(content.toString('utf8')).equals(content);
}

// ---------------------------------------------------------------- trying a commit

export async function tryCommit(
  means: Means,
  repository: GitRepository,
  commit: string,
  trial: Trial,
): Promise<CheckResult> {
  const answer = await withWorktree(means, repository, commit, async (tree) => {
    const compiled = await compileFiles(means.run, tree, trial);
    if (compiled.passed !== true || trial.argv === null) return compiled;
    return runThere(means.run, repository, tree, trial);
  });
  return answer ?? { passed: 'unknown', evidence: 'the commit could not be laid out for a trial' };
}

/** Reads the sources from stdin's program, so that no line break stands in an argument. Imports nothing of theirs. */
const COMPILE = `import sys
for path in sys.argv[1:]:
    with open(path, 'rb') as file:
        text = file.read()
    try:
        compile(text, path, 'exec', dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        print('%s line %s' % (path, getattr(error, 'lineno', '?')))
        sys.exit(3)
`;

async function compileFiles(run: Run, tree: string, trial: Trial): Promise<CheckResult> {
  const files = trial.files.filter((file) => !/[\0-\x1f]/.test(file) && !file.startsWith('-')).slice(0, MOST_FILES);
  const present: string[] = [];
  for (const file of files) if ((await lookAt(join(tree, file)))?.isFile()) present.push(file);
  const results = [
    await compilePython(
      run,
      tree,
      present.filter((file) => file.endsWith('.py')),
      trial,
    ),
    ...(await checkScripts(
      run,
      tree,
      present.filter((file) => /\.[cm]?js$/.test(file)),
    )),
    ...(await parseAll(tree, present)),
  ];
  const bad = results.find((result) => result.passed === false) ?? results.find((result) => result.passed !== true);
  return bad ?? { passed: true, evidence: `${present.length} changed files compile` };
}

async function compilePython(run: Run, tree: string, files: readonly string[], trial: Trial): Promise<CheckResult> {
  if (files.length === 0) return { passed: true, evidence: '' };
  const argv = [await interpreterFor(trial), '-I', '-S', '-', ...files.map((file) => `./${file}`)];
  const result = await run(argv, { cwd: tree, timeoutMs: TRIAL_MS, input: COMPILE });
  if (result.code === 0) return { passed: true, evidence: '' };
  if (result.code === 3) return { passed: false, evidence: `does not compile: ${result.stdout.trim()}` };
  return { passed: 'unknown', evidence: `the sources could not be compiled: ${gitSaid(result)}` };
}

async function interpreterFor({ service, argv }: Trial): Promise<string> {
  const health = service.health?.kind === 'command' ? service.health.argv[0] : undefined;
  const named = [argv?.[0], health, service.command?.[0]].filter((name) => /(?:^|\/)python[\d.]*$/.test(name ?? ''));
  const candidates = [...['.venv', 'venv', 'env'].map((venv) => `${venv}/bin/python`), ...named] as string[];
  for (const candidate of candidates) {
    const path = isAbsolute(candidate) ? candidate : join(service.directory, candidate);
    if (candidate.includes('/') && (await lookAt(path))) return path;
  }
  return 'python3';
}

async function checkScripts(run: Run, tree: string, files: readonly string[]): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const file of files) {
    const result = await run([process.execPath, '--check', `./${file}`], { cwd: tree, timeoutMs: TRIAL_MS });
    if (result.code === 0) continue;
    const broken = /SyntaxError/.test(result.stderr);
    results.push({ passed: broken ? false : 'unknown', evidence: `${file} does not compile` });
  }
  return results;
}

async function parseAll(tree: string, files: readonly string[]): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const file of files) {
    const format = formatOf(file);
    const text = format && (await readFile(join(tree, file), 'utf8').catch(() => null));
    if (!format || text === null) continue;
    const parsed = parseConfig(text, format);
    if (!parsed.ok) results.push({ passed: false, evidence: `${file}: ${parsed.error}` });
  }
  return results;
}

/** The owner's own command, in the scratch tree: its program from the project, its files from the commit. */
async function runThere(run: Run, repository: GitRepository, tree: string, trial: Trial): Promise<CheckResult> {
  const [program, ...args] = trial.argv as [string, ...string[]];
  const fromProject =
    program.includes('/') && !isAbsolute(program) ? resolve(trial.service.directory, program) : program;
  const cwd = join(tree, relative(repository.directory, trial.service.directory));
  await mkdir(cwd, { recursive: true });
  const env = { PYTHONDONTWRITEBYTECODE: '1' };
  const result = await run([fromProject, ...args], { cwd, timeoutMs: TRIAL_MS, env });
  if (result.code === 0) return { passed: true, evidence: 'the health command passes with upstream’s version' };
  const said = `${result.stderr}\n${result.stdout}`;
  if (trial.symptom !== null && said.includes(trial.symptom))
    return { passed: false, evidence: `upstream’s version fails with the same ${trial.symptom}` };
  return { passed: 'unknown', evidence: 'the health command does not run outside the project' };
}
