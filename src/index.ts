// The public API, and nothing else. The specification's three classes are the program's own parts:
//
//   const monitor = new SelfHealingMonitor({ checkInterval: 300, autoFixEnabled: true });
//   const errors = await new ErrorDetector().scanRecentLogs({ minutes: 60 });
//   const summary = await new AutoFixer().getFixSummary();

export { AutoFixer, ErrorDetector, SelfHealingMonitor } from './library.ts';
export type { LibraryOptions, MonitorOptions, RecentLogs } from './library.ts';
export { loadConfig } from './config/load.ts';
export { ConfigError, type Config, type ConfigProblem, type ServiceConfig } from './config/contract.ts';
export { Secret } from './config/secret.ts';
export { detectionRow, type Detection, type DetectionRow } from './core/detection.ts';
export { incidentRow, type Incident, type IncidentRow } from './core/incident.ts';
export type { Facts } from './core/facts.ts';
export type { Notification } from './core/notification.ts';
export type { Outcome } from './core/outcome.ts';
export type { Check, Plan, Step } from './core/plan.ts';
export type { LogRecord } from './core/record.ts';
export { AUTONOMIES, ERROR_TYPES, FAMILIES, OUTCOME_KINDS, RISKS, SEVERITIES } from './core/words.ts';
export type { Autonomy, ErrorType, Family, OutcomeKind, Risk, Severity } from './core/words.ts';
export { defineFix, later, notApplicable, propose, refuse, type Fix } from './fixes/contract.ts';
export type { Delivery, Notifier } from './notifiers/contract.ts';
export { openOperations } from './app.ts';
export type { Operations } from './operations.ts';
export { defineRules, type Rule } from './rules/contract.ts';
export { StoreError } from './store/contract.ts';
