// A file or folder of the service has another mode than it had when the service ran: put that one mode back. Never
// recursive, never wider than what was on record, never for a file of another user.

import { modesRecord } from '../core/good-copy-names.ts';
import { parseModes, type RecordedMode } from '../core/modes-record.ts';
import type { CheckResult } from '../core/plan.ts';
import { commandLine } from '../core/wording.ts';
import type { ServiceFacts } from '../host/contract.ts';
import type { DrillKit } from '../testing/drill-kit.ts';
import { type Diagnosis, defineFix, type FixContext, notApplicable, propose, refuse } from './contract.ts';
import { healthCheck } from './shared/health-check.ts';
import { listed } from './shared/listed.ts';
import { ago } from './shared/proven-copy.ts';

/** More files with other modes than that are no accident on one file: somebody changed a whole tree. */
const MOST_FILES = 5;
/** Set-id and sticky bits, and leave to write for everybody, are never given back by a program. */
const FORBIDDEN = 0o7002;

export default defineFix({
  name: 'restore-permission',
  family: 'restore-permission',
  title: 'Give a file its mode back',
  handles: ['permission_error', 'auth_error', 'config_error'],
  risk: 'reversible',
  scope: 'service',
  autonomy: 'auto',
  order: 35,
  diagnose,
  drills: [
    {
      given: 'a key file has become readable for everybody',
      world: async (kit) => {
        await kit.write('keys/id_ed25519', 'k', 0o644);
        await recorded(kit, { 'keys/id_ed25519': '600', keys: '755' });
      },
      facts: { path: '{directory}/keys/id_ed25519' },
      type: 'permission_error',
      expect: ['chmod'],
    },
    {
      given: 'a folder of state has lost its mode, and the service is ill',
      world: async (kit) => {
        await kit.write('data/state.json', '{}');
        await kit.sh(['chmod', '500', 'data']);
        kit.service({ health: { kind: 'command', argv: ['sh', '-c', 'test "$(stat -c %a data)" = 755'] } });
        await recorded(kit, { data: '755', 'data/state.json': '644' });
      },
      facts: {},
      type: 'permission_error',
      expect: ['chmod'],
    },
    {
      given: 'the mode is as it was',
      world: async (kit) => {
        await kit.write('data/state.json', '{}', 0o600);
        await recorded(kit, { 'data/state.json': '600' });
      },
      facts: { path: 'data/state.json' },
      type: 'permission_error',
      expect: 'not-applicable',
    },
    {
      given: 'the file lies outside the service',
      world: async (kit) => {
        await kit.write('../other/key', 'k', 0o644);
        await recorded(kit, { 'data/state.json': '600' });
      },
      facts: { path: '/etc/shadow' },
      type: 'permission_error',
      expect: 'not-applicable',
    },
    {
      given: 'somebody else owns the file by now',
      needs: 'root',
      world: async (kit) => {
        await kit.write('data/state.json', '{}', 0o600);
        await kit.sh(['chown', '1234:1234', 'data/state.json']);
        await recorded(kit, { 'data/state.json': 'f 640 0:0' });
      },
      facts: { path: 'data/state.json' },
      type: 'permission_error',
      expect: 'refused',
    },
    {
      given: 'the recorded mode lets everybody write',
      world: async (kit) => {
        await kit.write('data/state.json', '{}', 0o600);
        await recorded(kit, { 'data/state.json': '666' });
      },
      facts: { path: 'data/state.json' },
      type: 'permission_error',
      expect: 'refused',
    },
  ],
});

async function diagnose({ incident, service, probe }: FixContext): Promise<Diagnosis> {
  const root = await probe.files.inside(service.directory, '.');
  const record = root === null ? null : await recordOf({ incident, service, probe }, root);
  if (root === null || record === null) return notApplicable('no modes are on record with which the service ran');
  const health = (await probe.services.health(service.name)).passed;
  const named = incident.facts.path ?? incident.facts.file;
  const claimed = named === undefined ? null : await probe.files.inside(service.directory, named);
  if (claimed === null && health !== false)
    return notApplicable('no file of the service is named, and nothing shows that it is ill');
  const changed: Changed[] = [];
  for (const [name, { mode, owner }] of record.modes) {
    const path = `${root}/${name}`;
    if (claimed !== null && claimed !== path && !claimed.startsWith(`${path}/`)) continue;
    const status = await probe.files.status(path);
    if ((status.kind === 'file' || status.kind === 'directory') && status.mode !== mode)
      changed.push({
        path,
        name,
        from: status.mode,
        to: mode,
        uid: status.uid,
        owner,
        links: status.kind === 'file' ? status.links : 1,
      });
  }
  if (changed.length === 0) return notApplicable('the modes are as they were when the service ran');
  const owner = (await probe.files.status(root)).uid;
  const flaw = flawOf(changed, owner);
  if (flaw !== null) return refuse(flaw.reason, flaw.next);
  return proposal(service, changed, health, ago(probe.clock.now(), record.provenAt));
}

interface Changed {
  readonly path: string;
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly uid: number;
  /** Who owned it when the service ran; null when that is not on record. */
  readonly owner: RecordedMode['owner'];
  readonly links: number;
}

async function recordOf({ service, probe }: FixContext, root: string) {
  const copies = await probe.goodCopies(service.name, modesRecord(root));
  const proven = copies.find((copy) => copy.provenAt !== null);
  const text = proven && (await probe.goodCopyText(proven.id));
  if (!proven || proven.provenAt === null || !text) return null;
  const modes = parseModes(text);
  return modes.size === 0 ? null : { modes, provenAt: proven.provenAt };
}

interface Flaw {
  readonly reason: string;
  readonly next?: readonly string[];
}

function flawOf(changed: readonly Changed[], owner: number): Flaw | null {
  const names = listed(changed.map(({ name }) => name));
  if (changed.length > MOST_FILES)
    return { reason: `${changed.length} files have other modes than before (${names}): a person should look` };
  const foreign = changed.find(({ uid }) => uid !== owner);
  if (foreign) return foreignFlaw(foreign);
  const twin = changed.find(({ links }) => links > 1);
  if (twin) return { reason: `${twin.path} has a second name elsewhere` };
  const wide = changed.find(({ to }) => (to & FORBIDDEN) !== 0);
  return wide ? { reason: `${wide.path} had mode ${wide.to.toString(8)}, which no program should give` } : null;
}

function foreignFlaw({ path, uid, owner }: Changed): Flaw {
  const reason = `${path} belongs to another user than the service: only its owner can say what is right`;
  if (owner === null || owner.uid === uid) return { reason };
  return {
    reason: `${path} belongs to user ${uid}, and belonged to ${owner.uid} when the service ran: a person should give it back`,
    next: [commandLine(['chown', `${owner.uid}:${owner.gid}`, path])],
  };
}

function proposal(
  service: ServiceFacts,
  changed: readonly Changed[],
  health: CheckResult['passed'],
  when: string,
): Diagnosis {
  const names = listed(changed.map(({ name }) => name));
  return propose({
    title: `give ${names} the mode back that the service ran with`,
    why: changed
      .map(
        ({ name, from, to }) =>
          `${name} has mode ${from.toString(8)}, had ${to.toString(8)} when ${service.name} last ran (${when}).`,
      )
      .join(' '),
    facts: { path: changed[0]?.path ?? '' },
    steps: changed.map(({ path, from, to }) => ({
      kind: 'chmod',
      title: `set the mode of ${path} to ${to.toString(8)}`,
      undo: { kind: 'restore-snapshot' },
      path,
      from,
      to,
    })),
    checks: [
      ...changed.map(
        ({ path, name, to }) =>
          ({
            kind: 'file-mode',
            title: `${name} has mode ${to.toString(8)}`,
            proves: 'operation',
            failsBefore: true,
            path,
            mode: to,
          }) as const,
      ),
      ...healthCheck(service.name, health),
    ],
    resources: changed.map(({ path }) => `path:${path}`),
    needsRestart: false,
  });
}

/** Leaves the record that the keeper of good copies would have left. */
async function recorded(kit: DrillKit, modes: Readonly<Record<string, string>>): Promise<void> {
  await kit.write('#modes', JSON.stringify(modes));
  await kit.goodCopy('#modes');
  await kit.sh(['rm', '#modes']);
}
