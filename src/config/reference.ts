// What is published about the configuration, made from the schema itself so that it cannot drift:
// the JSON Schema for editors and docs/configuration.md for people.

import * as z from 'zod';
import { fileSchema } from './schema.ts';

interface Node {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | false;
  readonly required?: readonly string[];
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly enum?: readonly string[];
}

/** JSON Schema (draft 2020-12) of the configuration file. */
export function configurationSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(fileSchema, { io: 'input' }) as Record<string, unknown>;
  return {
    $schema,
    $id: 'https://unpkg.com/selfheal/schema/selfheal.schema.json',
    title: 'selfheal configuration',
    ...rest,
  };
}

/** The text of docs/configuration.md. */
export function configurationPage(): string {
  const rows = (node: Node, prefix: string): string[] =>
    Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
      if (name === '$schema') return [];
      const path = `${prefix}${name}`;
      const required = node.required?.includes(name) ? ' **Required.**' : '';
      const inner = nested(child, path);
      return [
        `| \`${path}\` | ${typeOf(child)} | ${(child.description ?? '').replaceAll('|', '\\|')}${required} |`,
        ...inner.flatMap((each) => rows(each.node, each.prefix)),
      ];
    });
  return [HEAD, ...rows(configurationSchema() as Node, ''), '', VARIABLES].join('\n');
}

/** Blocks below this one, with what their keys are written after. */
function nested(node: Node, path: string): { node: Node; prefix: string }[] {
  const here = node.properties ? [{ node, prefix: `${path}.` }] : [];
  const named =
    node.additionalProperties && node.additionalProperties.properties
      ? [{ node: node.additionalProperties, prefix: `${path}.NAME.` }]
      : [];
  const listed = node.items?.properties ? [{ node: node.items, prefix: `${path}[].` }] : [];
  const either = (node.anyOf ?? []).flatMap((each) => nested(each, path));
  return [...here, ...named, ...listed, ...either];
}

function typeOf(node: Node): string {
  if (node.title) return node.title;
  if (node.enum) return node.enum.length > 6 ? 'error types' : node.enum.map((w) => `\`${w}\``).join(', ');
  if (node.anyOf) return [...new Set(node.anyOf.map(typeOf))].join(' or ');
  if (node.type === 'array') return node.items ? `list of ${plural(typeOf(node.items))}` : 'list';
  if (node.type === 'object') return 'block';
  return [node.type ?? []]
    .flat()
    .map((type) => WORDS[type] ?? type)
    .join(' or ');
}

const WORDS: Readonly<Record<string, string>> = { string: 'text', number: 'number', boolean: 'true/false' };
const PLURALS: Readonly<Record<string, string>> = {
  text: 'texts',
  number: 'numbers',
  block: 'blocks',
  'whole number': 'whole numbers',
};
const plural = (word: string): string =>
  word
    .split(' or ')
    .map((w) => PLURALS[w] ?? w)
    .join(' or ');

const HEAD = `# Configuration

<!-- Generated from src/config/schema.ts by \`npm run build\`. Change the schema, not this page. -->

selfheal reads one YAML file: \`--config FILE\`, else \`./selfheal.yaml\`, else \`$XDG_CONFIG_HOME/selfheal/selfheal.yaml\`
(\`~/.config\` by default), else \`/etc/selfheal/selfheal.yaml\`. \`selfheal run -- CMD\` needs none.
\`selfheal config check\` says whether a file is right, and what it comes to. An unknown key is an error that names the
nearest known one.

- **Order of authority:** defaults < file < \`.env\` beside it < environment < flags.
- **References:** \`\${NAME}\` in any text is the environment variable of that name, \`\${NAME:-default}\` falls back,
  \`$\${\` is a literal \`\${\`. Keep secrets out of the file this way.
- **Durations:** \`500ms\`, \`30s\`, \`5m\`, \`1h30m\`, \`2d\`; a bare number means seconds.
- **Paths:** \`state\`, \`rules\` and \`directory\` start at the file's folder; everything inside a service starts at its
  \`directory\`; \`~/\` is the home folder.
- **Editors:** put \`# yaml-language-server: $schema=PATH/selfheal.schema.json\` on top; the schema is in the package's
  \`schema\` folder.

| key | type | meaning |
|---|---|---|`;

const VARIABLES = `## Environment variables

| variable | same as |
|---|---|
| \`SELF_HEALING_ENABLED\` | \`self_healing.enabled\` |
| \`AUTO_FIX_ENABLED\` | \`self_healing.auto_fix\` |
| \`HEALTH_CHECK_INTERVAL\` | \`self_healing.check_interval\` (seconds) |
| \`MAX_AUTO_FIX_ATTEMPTS\` | \`self_healing.max_auto_fix_attempts\` |

Error types for \`auto_fix_types\`: ${wordsOf('self_healing', 'auto_fix_types')}.
`;

function wordsOf(block: string, key: string): string {
  const node = (configurationSchema() as Node).properties?.[block]?.properties?.[key];
  return (node?.items?.enum ?? []).map((word) => `\`${word}\``).join(', ');
}
