// The words that appear in JSON, configuration and chat. Other programs rely on
// them: add freely, change only with a note in the changelog.

/** What kind of trouble a detection or an incident is about. */
export const ERROR_TYPES = [
  'rate_limit',
  'api_error',
  'import_error',
  'git_error',
  'config_error',
  'attribute_error',
  'type_error',
  'timeout',
  'quota_exhausted',
  'provider_overloaded',
  'auth_error',
  'permission_error',
  'disk_full',
  'out_of_memory',
  'port_in_use',
  'too_many_files',
  'database_error',
  'syntax_error',
  'service_crash',
  'unknown',
] as const;
export type ErrorType = (typeof ERROR_TYPES)[number];

/** How bad it is; decides who is told, and when. Ordered from worst to mildest. */
export const SEVERITIES = ['critical', 'high', 'medium', 'low'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** How much depends on a service. Ordered from most to least. */
export const SERVICE_ROLES = ['critical', 'normal', 'minor'] as const;
export type ServiceRole = (typeof SERVICE_ROLES)[number];

/** How far selfheal may go by itself with one fix on one service. Ordered from least to most freedom. */
export const AUTONOMIES = ['off', 'suggest', 'approve', 'auto'] as const;
export type Autonomy = (typeof AUTONOMIES)[number];

/** What a plan may cost if it goes wrong. Ordered from harmless to dangerous. */
export const RISKS = ['safe', 'reversible', 'risky'] as const;
export type Risk = (typeof RISKS)[number];

/** How a healing attempt ended. Only `fixed` claims success, and only after proof. */
export const OUTCOME_KINDS = [
  'fixed',
  'rolled-back',
  'rollback-failed',
  'inconclusive',
  'refused',
  'not-applicable',
  'rehearsed',
] as const;
export type OutcomeKind = (typeof OUTCOME_KINDS)[number];

/** Family names that configurations rely on. */
export const FAMILIES = [
  'install-package',
  'sync-git',
  'restore-config',
  'restart-service',
  'fallback-model',
  'wait-out-limit',
  'free-disk',
  'clear-stale-lock',
  'free-port',
  'restore-permission',
  'quarantine-state',
  'patch-code',
  'own-fix',
] as const;
export type Family = (typeof FAMILIES)[number];

/** True when `a` is worse than `b`. */
export function isWorse(a: Severity, b: Severity): boolean {
  return SEVERITIES.indexOf(a) < SEVERITIES.indexOf(b);
}

/** How bad a thing is when it befalls a service of this role. What is shown on request only stays so. */
export function severityIn(role: ServiceRole, severity: Severity): Severity {
  if (severity === 'low' || role === 'normal') return severity;
  const at = SEVERITIES.indexOf(severity) + (role === 'critical' ? -1 : 1);
  return SEVERITIES[Math.max(0, at)] ?? severity;
}

/** The smaller of two freedoms: every guard can narrow, none can widen. */
export function narrower(a: Autonomy, b: Autonomy): Autonomy {
  return AUTONOMIES.indexOf(a) <= AUTONOMIES.indexOf(b) ? a : b;
}
