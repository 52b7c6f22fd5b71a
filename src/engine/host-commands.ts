// What a person would type next when it is their turn: two or three commands, made of what the configuration and the
// machine say and never of a log. A fix that knows better says so itself.

import type { ServiceConfig } from '../config/contract.ts';
import type { Incident } from '../core/incident.ts';
import { commandLine } from '../core/wording.ts';
import { canTakeBack } from '../core/outcome.ts';
import type { ErrorType } from '../core/words.ts';

type Service = Pick<ServiceConfig, 'directory' | 'restart' | 'command' | 'logs' | 'envFile'>;

const MOST = 3;
const LINES = '50';

/**
 * At most three shell lines for an incident that waits for a person; empty when nothing is known of its service.
 *
 * @example hostCommands(incident, service) // ['df -h /srv/agent', 'df -i /srv/agent', 'du -xh --max-depth=2 /srv/agent']
 */
export function hostCommands(incident: Incident, service: Service | null): readonly string[] {
  const { outcome } = incident;
  if (outcome?.kind === 'refused' && outcome.next && outcome.reason === incident.reason)
    return outcome.next.slice(0, MOST);
  const undo = canTakeBack(outcome) ? [`selfheal rollback ${incident.id}`] : [];
  const usual = service === null ? [] : BY_TYPE[incident.type](service);
  const more = undo.length + usual.length < 2 ? [`selfheal incident ${incident.id}`] : [];
  return [...undo, ...usual, ...more].slice(0, MOST);
}

const line = (...argv: readonly string[]): string => commandLine(argv);
const git = ({ directory }: Service, ...argv: readonly string[]): string => line('git', '-C', directory, ...argv);

/** Where the service's last words stand, by whoever runs it. */
function lastWords({ restart, command, logs }: Service): readonly string[] {
  const files = logs.length > 0 ? [`tail -n ${LINES} ${logs.slice(0, 2).map(glob).join(' ')}`] : [];
  if (command !== null) return files.length > 0 ? files : ['selfheal errors'];
  switch (restart?.kind) {
    case 'systemd':
      return [line('systemctl', 'status', restart.unit), line('journalctl', '-u', restart.unit, '-n', LINES), ...files];
    case 'docker':
      return [line('docker', 'logs', '--tail', LINES, restart.container), ...files];
    case 'pm2':
      return [line('pm2', 'logs', restart.name, '--lines', LINES, '--nostream'), ...files];
    default:
      return files;
  }
}

/** A pattern of the configuration stays a pattern for the shell; anything odd in it is quoted instead. */
function glob(pattern: string): string {
  return /^[\w@%+=:,./*?[\]-]+$/.test(pattern) ? pattern : line(pattern);
}

const ofGit = (service: Service): readonly string[] => [
  git(service, 'status'),
  git(service, 'log', '--oneline', '-n', '5'),
];
const ofTheNetwork = (service: Service): readonly string[] => ['ip route', 'resolvectl status', ...lastWords(service)];
const ofTheProvider = (service: Service): readonly string[] => ['selfheal status', ...lastWords(service)];

const BY_TYPE: Readonly<Record<ErrorType, (service: Service) => readonly string[]>> = {
  rate_limit: ofTheProvider,
  provider_overloaded: ofTheProvider,
  quota_exhausted: ofTheProvider,
  api_error: (service) => [...lastWords(service), 'ip route'],
  timeout: ofTheNetwork,
  import_error: (service) => [
    line('ls', '-d', `${service.directory}/.venv`, `${service.directory}/node_modules`),
    ...ofGit(service),
  ],
  git_error: (service) => [...ofGit(service), git(service, 'fsck', '--connectivity-only')],
  config_error: (service) => [
    line('ls', '-lt', service.directory),
    ...(service.envFile ? [line('ls', '-l', service.envFile)] : []),
    git(service, 'diff', '--stat'),
  ],
  attribute_error: ofGit,
  type_error: ofGit,
  syntax_error: ofGit,
  auth_error: (service) => [line('ls', '-l', service.envFile ?? `${service.directory}/.env`), ...lastWords(service)],
  permission_error: ({ directory }) => [
    line('ls', '-la', directory),
    line('namei', '-l', directory),
    line('findmnt', '-T', directory),
  ],
  disk_full: ({ directory }) => [
    line('df', '-h', directory),
    line('df', '-i', directory),
    line('du', '-xh', '--max-depth=2', directory),
  ],
  out_of_memory: (service) => ['free -h', 'ps axo pid,rss,comm --sort=-rss', ...lastWords(service)],
  port_in_use: () => ['ss -ltnp', 'ps axo pid,ppid,lstart,args'],
  too_many_files: (service) => ['cat /proc/sys/fs/file-nr', 'lsof -n +c0', ...lastWords(service)],
  database_error: ({ directory }) => [
    line('ls', '-la', directory),
    line('df', '-h', directory),
    line('fuser', '-v', directory),
  ],
  service_crash: (service) => [...lastWords(service), git(service, 'log', '--oneline', '-n', '5')],
  unknown: (service) => [...lastWords(service), line('ls', '-lt', service.directory)],
};
