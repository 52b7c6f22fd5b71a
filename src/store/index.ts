// What the rest of selfheal takes from the store besides its contract.

export { lockDaemon, runningDaemon, startTicksOf, type DaemonInfo, type DaemonLock } from './daemon-lock.ts';
export { lockOnHost } from './host-lock.ts';
export { watchStore, type StoreWatch } from './doorbell.ts';
export {
  backUpStore,
  dropBallast,
  examineStore,
  keepBallast,
  lastBackUpAt,
  openSoundStore,
  pruneSnapshots,
  quarantineStore,
} from './keeping.ts';
export { openStore, type OpenOptions } from './open.ts';
