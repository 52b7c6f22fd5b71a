// What in a repository's configuration, and what in the commits that come in, deserves a person's look: whatever could
// run a program by itself, send traffic elsewhere, or write over files that only exist here.

import type { GitSetting } from './git-command.ts';
import { type RawChange, shownName } from './git-names.ts';

/** Keys that every ordinary clone has, or that only change how git shows or stores things. */
const HARMLESS: readonly RegExp[] = [
  /^core\.(?:repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol|safecrlf|quotepath|abbrev|compression|sharedrepository|longpaths|commentchar|whitespace|untrackedcache|splitindex|preloadindex|checkstat|trustctime|worktree)$/,
  /^extensions\.(?:objectformat|worktreeconfig)$/,
  /^remote\..+\.(?:fetch|prune|tagopt|pushurl|mirror|gh-resolved)$/,
  /^branch\..+\.(?:remote|merge|rebase|description|pushremote|vscode-merge-base|gk-.+)$/,
  /^user\.(?:name|email|signingkey|useconfigonly)$/,
  /^(?:init|color|column|advice|gui|log|status|push|fetch|gc|pack|index|feature|rerere|help|tag|rebase|merge|pull|checkout|commit|i18n|transfer|receive|lfs)\.(?!.*(?:cmd|command|program|helper|driver|verify))[a-z0-9.]+$/,
  /^(?:pull|merge)\.ff$/,
];

/** Keys (never values: those may be secrets) that could run programs or redirect traffic. */
export function suspiciousKeys(settings: readonly GitSetting[]): readonly string[] {
  const keys = settings.filter((setting) => !isHarmless(setting)).map((setting) => setting.key);
  return [...new Set(keys)].sort();
}

function isHarmless({ key, value }: GitSetting): boolean {
  if (/^remote\..+\.url$/.test(key)) return isPlainAddress(value);
  return HARMLESS.some((pattern) => pattern.test(key));
}

/** Addresses we fetch from: https, ssh, a folder. Everything else names a helper program or goes unprotected. */
export function isPlainAddress(url: string): boolean {
  if (/[\0-\x20\x7f]/.test(url) || url.includes('::')) return false;
  if (/^(?:https|ssh|file):\/\/(?!-)[^/]*\//.test(url)) return !/^ssh:\/\/(?:[^@/]*@)?-/.test(url);
  if (/^\.{0,2}\//.test(url)) return true;
  return /^(?!-)[\w.-]+@(?!-)[\w.-]+:(?!\/\/)[^:]+$/.test(url);
}

/** The address without a password, for people. */
export function addressShown(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^@/]*@/, '$1');
}

const RUNS_BY_ITSELF: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\/)\.git(?:attributes|modules)$/, 'changes how git itself treats files'],
  [/^(?:\.husky|\.githooks|hooks)\//, 'a hook of the repository'],
  [/^(?:\.github\/workflows|\.circleci|\.gitlab-ci\.yml|\.ci\/|Jenkinsfile|azure-pipelines\.yml)/, 'build automation'],
  [
    /(?:^|\/)(?:package\.json|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?)$/,
    'dependencies or scripts of the project',
  ],
  [
    /(?:^|\/)(?:requirements[^/]*\.(?:txt|in)|constraints[^/]*\.txt|pyproject\.toml|setup\.(?:py|cfg)|Pipfile(?:\.lock)?|poetry\.lock|uv\.lock)$/,
    'dependencies or build scripts of the project',
  ],
  [
    /(?:^|\/)(?:sitecustomize\.py|usercustomize\.py|conftest\.py|[^/]*\.pth)$/,
    'runs whenever Python or the tests start',
  ],
  [
    /(?:^|\/)(?:\.npmrc|\.yarnrc(?:\.yml)?|\.pnpmfile\.cjs|bunfig\.toml|pip\.conf|\.envrc|\.tool-versions|mise\.toml)$/,
    'configures tools that run programs',
  ],
  [
    /(?:^|\/)(?:Dockerfile[^/]*|docker-compose[^/]*|compose\.ya?ml|Makefile|GNUmakefile|justfile|Procfile)$/,
    'says how the project is built or run',
  ],
  [/\.(?:service|timer|socket|path)$/, 'a unit of the service manager'],
  [/(?:^|\/)\.env(?:\.(?!example$|sample$|template$)[^/]*)?$/, 'an environment file'],
  [/(?:^|\/)(?:migrations?|alembic)\//, 'changes the schema of a database'],
];

/** Incoming changes that a person should have seen, each with its reason. */
export function riskyChanges(
  changes: readonly RawChange[],
): readonly { readonly path: string; readonly reason: string }[] {
  return changes.flatMap((change) => {
    const path = shownName(change.name);
    const reason = kindReason(change) ?? RUNS_BY_ITSELF.find(([pattern]) => pattern.test(path))?.[1];
    return reason === undefined ? [] : [{ path, reason }];
  });
}

function kindReason({ oldMode, newMode, status, name }: RawChange): string | null {
  if (newMode === '120000') return 'a symbolic link';
  if (newMode === '160000' || oldMode === '160000') return 'a repository inside the repository';
  if (status === 'T') return 'changes its kind';
  if (status === 'M' && oldMode !== newMode) return newMode === '100755' ? 'becomes executable' : 'its mode changes';
  return /[\0-\x1f\x7f]/.test(name) ? 'a name that cannot be shown' : null;
}
