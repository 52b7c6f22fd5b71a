// Lists for people: the first few by name, the rest counted.

/** `a, b, c, d, e and 3 more`. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}
