// Besides files, two facts about a service are kept as good copies, so that they are saved and proven by the same rule: which
// commit it ran on, and which modes its files had. They go by names that no file of the service can have.

/** Name under which the commit of a repository is kept. Content: commit id and branch, one a line. */
export const headRecord = (directory: string): string => `${directory}/.git#head`;

/** Name under which the modes of a service's files are kept. Content: a JSON object, path below the folder → an entry of `modes-record.ts`. */
export const modesRecord = (directory: string): string => `${directory}/#modes`;
