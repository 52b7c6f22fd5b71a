// Paths as the kernel has them: bytes. A file name need not be valid UTF-8, so inside the reader
// a path is a string with one character per byte; it is turned into text only to be shown or matched.

/** One character (U+0000 to U+00FF) per byte of the path. Equal to the text for ASCII paths. */
export type BytePath = string;

const ASCII = /^[\0-\x7f]*$/;

export function fromText(text: string): BytePath {
  return ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** For people and patterns; bytes that are not UTF-8 become U+FFFD. */
export function shown(path: BytePath): string {
  return ASCII.test(path) ? path : Buffer.from(path, 'latin1').toString('utf8');
}

/** What Node's file functions take without changing a byte. */
export function onDisk(path: BytePath): string | Buffer {
  return ASCII.test(path) ? path : Buffer.from(path, 'latin1');
}

export function join(directory: BytePath, name: BytePath): BytePath {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

export function directoryOf(path: BytePath): BytePath {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

export function nameOf(path: BytePath): BytePath {
  return path.slice(path.lastIndexOf('/') + 1);
}
