// Trouble with a repository that no program should mend by itself: branches that went apart, a remote that turns us away, a
// host key that changed, a foreign owner, a damaged object. Said once, clearly, with both sides named.

import { commandLine } from '../core/wording.ts';
import { defineFix, later, notApplicable, refuse, type FixContext } from './contract.ts';

const LOOK_AGAIN_MS = 300_000;

export default defineFix({
  name: 'report-git-trouble',
  family: 'sync-git',
  title: 'Say what a person must decide about a repository',
  handles: ['git_error'],
  risk: 'safe',
  scope: 'service',
  autonomy: 'suggest',
  order: 15,
  diagnose,
  drills: [
    {
      given: 'the branch and its upstream have gone apart',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n', 'b.py': 'b\n' });
        await kit.upstream({ 'main.py': 'theirs\n' }, 'theirs');
        await kit.write('b.py', 'ours\n');
        await kit.sh(['git', 'commit', '-qam', 'ours']);
      },
      facts: {},
      message: 'fatal: Not possible to fast-forward, aborting.',
      type: 'git_error',
      expect: 'refused',
    },
    {
      given: 'the remote is gone',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.sh(['git', 'config', 'remote.origin.url', '/nonexistent/upstream.git']);
      },
      facts: {},
      message: 'fatal: Could not read from remote repository.',
      type: 'git_error',
      expect: 'refused',
    },
    {
      given: 'the index is damaged',
      world: async (kit) => {
        await kit.repository({ 'main.py': 'a\n' });
        await kit.write('.git/index', 'not an index at all, and long enough to be looked at');
      },
      facts: {},
      message: 'error: bad signature 0x6e6f7420',
      type: 'git_error',
      expect: 'refused',
    },
    {
      given: 'the remote turned us away once and is fine by now',
      world: (kit) => kit.repository({ 'main.py': 'a\n' }),
      facts: {},
      message: 'git@host: Permission denied (publickey).',
      type: 'git_error',
      expect: 'not-applicable',
    },
    {
      given: 'the log speaks of something else',
      world: (kit) => kit.repository({ 'main.py': 'a\n' }),
      facts: {},
      message: 'error: pathspec did not match any files',
      type: 'git_error',
      expect: 'not-applicable',
    },
  ],
});

/** Texts of git and ssh that blame the remote or the two histories. Only a reason to look. */
const BLAMES_REMOTE =
  /fast-forward|diverge|rejected|permission denied|authenticat|could not read|host key|identification|remote repository|not found|403|401|unable to access|terminal prompts/i;

async function diagnose({ incident, service, probe }: FixContext) {
  const repository = await probe.git.repository(service.directory);
  if (repository === null) return notApplicable('the service has no git repository');
  if (repository.trouble !== null)
    return refuse(adviceFor(repository.trouble, repository.directory), looks(repository.directory));
  if (repository.operation !== null) return notApplicable(`a ${repository.operation} is in progress: that comes first`);
  const said = [incident.message, ...incident.samples.map((sample) => sample.text)].join('\n');
  if (!BLAMES_REMOTE.test(said)) return notApplicable('git can work there, and nothing was said against the remote');
  if (repository.upstream === null) return notApplicable('the branch has no upstream');

  const { incoming, reason, trouble } = await probe.git.incoming(repository);
  if (trouble === 'unreachable') return later(probe.clock.now() + LOOK_AGAIN_MS, reason);
  if (incoming === null)
    return refuse(`${reason}; updates wait until a person has looked at it`, [
      commandLine(['git', '-C', repository.directory, 'remote', '--verbose']),
      commandLine(['git', '-C', repository.directory, 'ls-remote', '--heads', repository.upstream.remote]),
    ]);
  if (incoming.fastForward || incoming.commits === 0)
    return notApplicable('the remote answers, and the branch can follow it');
  const { branch, head, directory } = repository;
  return refuse(
    `${branch} and its upstream have both moved on: here ${head}, there ${incoming.commit} (${incoming.commits} commits). ` +
      `Look with: git -C ${directory} log --oneline --left-right HEAD...${incoming.commit.slice(0, 12)} after a fetch`,
    [
      commandLine(['git', '-C', directory, 'fetch']),
      commandLine(['git', '-C', directory, 'log', '--oneline', '--left-right', 'HEAD...@{upstream}']),
    ],
  );
}

const looks = (directory: string): readonly string[] => [
  commandLine(['ls', '-ld', directory, `${directory}/.git`]),
  commandLine(['git', '-C', directory, 'fsck']),
];

function adviceFor(trouble: string, directory: string): string {
  if (/another user/.test(trouble))
    return `${trouble}: give ${directory} back to the user the service runs as; it is never declared safe for everybody`;
  return `git cannot work in ${directory}: ${trouble}. Look with: git -C ${directory} fsck; a fresh clone beside it is the safe way out`;
}
