// Six ways to break a real agent. Each act leaves the machine as such a fault leaves it; nothing
// tells the healer what was done.

import { WHOLE_ANSWER } from './provider.ts';
import type { World } from './world.ts';

export interface Act {
  readonly title: string;
  /** The types its incident may have: languages name the same fault differently. */
  readonly types: readonly string[];
  /** What was done, as a sentence, once it is done. */
  play(world: World): Promise<string>;
  /** What it came to, as the agent itself has it; `ok` false: it was not healed, whatever the healer says. */
  judge?(world: World): Promise<{ readonly ok: boolean; readonly said: string }>;
}

const missingModule: Act = {
  title: 'a module is missing',
  types: ['import_error'],
  async play(world) {
    await world.stop();
    await world.removeModule();
    await world.start();
    return `'friendly' is gone from ${world.modulesFolder}; the agent was started as after a bad deploy`;
  },
};

const stuckMerge: Act = {
  title: 'a merge is stuck',
  types: ['git_error'],
  async play(world) {
    await world.edit('notes.md', 'the owner wrote this\n');
    await world.git('commit', '-qam', 'note of the owner');
    await world.upstream({ 'notes.md': 'a colleague wrote that\n' }, 'note of a colleague');
    await world.edit('draft.md', 'not committed, not to be lost\n');
    await world.gitFails('pull', '-q', '--no-rebase', '--no-edit');
    await world.task('update');
    return 'a pull stopped in a conflict, with uncommitted work lying about; the agent cannot update itself';
  },
};

const brokenConfiguration: Act = {
  title: 'the configuration is broken',
  // Node does not say which file it could not parse: that it is a configuration is found on the machine.
  types: ['config_error', 'unknown'],
  async play(world) {
    const text = await world.read('settings.json');
    await world.edit('settings.json', text.slice(0, Math.floor(text.length / 2)));
    await world.task('greet');
    return 'settings.json was cut off in the middle';
  },
};

const upstreamFix: Act = {
  title: 'a bug that upstream has mended',
  types: ['attribute_error', 'type_error'],
  async play(world) {
    const good = await world.read(world.reportFile);
    await world.stop();
    await world.upstream(
      {
        [world.reportFile]: good
          .replace('lines(items))', 'numbered(items))')
          .replace('this.lines(items)', 'this.numbered(items)'),
      },
      'a hasty change',
    );
    await world.git('pull', '-q', '--ff-only');
    await world.upstream({ [world.reportFile]: good }, 'fix: reports have lines again');
    await world.start();
    await world.task('report');
    return 'a hasty commit was deployed; its repair waits upstream';
  },
};

const crash: Act = {
  title: 'the agent crashes',
  types: ['service_crash'],
  async play(world) {
    const pid = await world.pid();
    process.kill(pid, 'SIGSEGV');
    return `process ${pid} was ended by SIGSEGV`;
  },
};

const rateLimit: Act = {
  title: 'the model provider breaks off its answer with a rate limit',
  types: ['rate_limit'],
  async play(world) {
    world.provider.limit();
    await world.task('ask');
    return 'the provider says half a sentence, then that it answers again in ten minutes';
  },
  async judge(world) {
    const answer = await world.read('answer.txt').catch(() => '');
    return {
      ok: answer === WHOLE_ANSWER,
      said: answer === '' ? 'the agent has no answer' : `the agent has: ${answer}`,
    };
  },
};

// The stuck merge leaves two branches apart, as its repair should; so it comes after the deploy.
export const acts: readonly Act[] = [missingModule, brokenConfiguration, upstreamFix, stuckMerge, crash, rateLimit];
