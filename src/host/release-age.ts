// How long ago a release was published, where the index tells (PEP 691 and 700). Most malicious releases
// are found within days: a version that nobody pinned exactly and that is younger is shown before it runs.

/** Younger than this makes a plan ask. pnpm and npm know the same guard as `minimumReleaseAge` and `min-release-age`. */
const YOUNG_MS = 3 * 86_400_000;
const ASK_MS = 10_000;
const JSON_API = 'application/vnd.pypi.simple.v1+json';

/**
 * Epoch milliseconds when the file with this hash was published; null when the index does not say.
 *
 * @param index address as pip takes it, credentials included.
 * @param hash `sha256:<hex>`
 */
export async function publishedAt(index: string, name: string, hash: string): Promise<number | null> {
  try {
    const url = new URL(`${index.replace(/\/$/, '')}/${name}/`);
    const authorization = authorizationOf(url);
    const answer = await fetch(url, {
      headers: { accept: JSON_API, ...(authorization === null ? {} : { authorization }) },
      signal: AbortSignal.timeout(ASK_MS),
    });
    if (!answer.ok || !answer.headers.get('content-type')?.startsWith(JSON_API)) return null;
    const { files } = (await answer.json()) as { readonly files?: readonly IndexFile[] };
    const file = files?.find((f) => `sha256:${f.hashes?.sha256}` === hash);
    const at = Date.parse(file?.['upload-time'] ?? '');
    return Number.isNaN(at) ? null : at;
  } catch {
    return null;
  }
}

interface IndexFile {
  readonly hashes?: { readonly sha256?: string };
  readonly 'upload-time'?: string;
}

/** fetch takes no credentials in an address. */
function authorizationOf(url: URL): string | null {
  if (url.username === '') return null;
  const text = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = '';
  url.password = '';
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

/** A sentence for people when the release is young; null when it is not, or nobody knows. */
export function youthOf(published: number | null, now: number): string | null {
  if (published === null || now - published >= YOUNG_MS) return null;
  const hours = Math.max(0, Math.round((now - published) / 3_600_000));
  return `this release is only ${hours} hours old`;
}
