// What is kept of the files of a service that ran: kind, mode and owner of each, as one line of text. Pure.

/** A file or folder as it was. Kind and owner are unknown (null) where an older record did not say them. */
export interface RecordedMode {
  readonly kind: 'file' | 'directory' | null;
  /** Permission bits. */
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number } | null;
}

const ENTRY = /^(?:(?<kind>[df]) )?(?<mode>[0-7]{1,4})(?: (?<uid>\d{1,10}):(?<gid>\d{1,10}))?$/;

/** @example modeEntry({ kind: 'directory', mode: 0o750, uid: 1000, gid: 1000 }) // 'd 750 1000:1000' */
export function modeEntry(seen: {
  readonly kind: 'file' | 'directory';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}): string {
  return `${seen.kind === 'file' ? 'f' : 'd'} ${seen.mode.toString(8)} ${seen.uid}:${seen.gid}`;
}

/** Path below the service's folder → what is on record of it. What cannot be read is left out; never throws. */
export function parseModes(text: string): ReadonlyMap<string, RecordedMode> {
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch {
    return new Map();
  }
  if (typeof all !== 'object' || all === null) return new Map();
  const known = new Map<string, RecordedMode>();
  for (const [name, entry] of Object.entries(all)) {
    const found = typeof entry === 'string' ? ENTRY.exec(entry)?.groups : undefined;
    if (found) known.set(name, recorded(found));
  }
  return known;
}

function recorded({ kind, mode = '', uid, gid }: Readonly<Record<string, string | undefined>>): RecordedMode {
  return {
    kind: kind === 'f' ? 'file' : kind === 'd' ? 'directory' : null,
    mode: Number.parseInt(mode, 8),
    owner: uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) },
  };
}

/** True when a folder is known to have been at this path; one of unknown kind was a folder when something lay in it. */
export function wasFolder(modes: ReadonlyMap<string, RecordedMode>, name: string): boolean {
  const found = modes.get(name);
  if (!found || found.kind !== null) return found?.kind === 'directory';
  return [...modes.keys()].some((other) => other.startsWith(`${name}/`));
}
