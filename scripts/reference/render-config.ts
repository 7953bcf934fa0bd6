/** Renders docs/reference/config.md: every setting of `tandem.config.ts`, from its TypeScript types. */
import { readFileSync } from 'node:fs';
import { renderTable } from './markdown-table.ts';

const SOURCE = new URL('../../libs/config/define-config.ts', import.meta.url);

/** Matches a doc comment up to its end. */
const DOC = String.raw`\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n`;
const INTERFACE = new RegExp(String.raw`(?:${DOC})?export interface (\w+) \{\n([\s\S]*?)\n\}`, 'g');
const SETTING = new RegExp(
  String.raw`(?: {2}${DOC})? {2}readonly (\w+)(\??): ([\s\S]*?);(?=\n {2}(?:\/\*\*|readonly)|$)`,
  'g',
);

interface Setting {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
  readonly text: string;
}

export function renderConfig(): string {
  const code = readFileSync(SOURCE, 'utf8');
  const interfaces = [...code.matchAll(INTERFACE)];
  const names = new Set(interfaces.map(({ 2: name = '' }) => name));
  return interfaces
    .map(([, doc = '', name = '', body = '']) => {
      const rows = settingsOf(body).map((one) => [
        `\`${one.name}\`${one.isOptional ? '' : ' (required)'}`,
        linked(one.type, names),
        one.text,
      ]);
      return [`## ${name}`, ...(doc ? [textOf(doc)] : []), renderTable(['setting', 'type', 'meaning'], rows)].join(
        '\n\n',
      );
    })
    .join('\n\n');
}

function settingsOf(body: string): Setting[] {
  return [...body.matchAll(SETTING)].map(([, doc = '', name = '', optional, type = '']) => ({
    name,
    type: type.replaceAll(/\s+/g, ' '),
    isOptional: optional === '?',
    text: textOf(doc),
  }));
}

/** Returns the text of a doc comment in one line. */
function textOf(doc: string): string {
  return doc
    .replaceAll(/^\s*\*? ?/gm, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll(/docs\/([\w-]+\.md)/g, '[$1](../$1)')
    .trim();
}

/** Renders a type as code. The name of a type that has its own section becomes a link. */
function linked(type: string, names: ReadonlySet<string>): string {
  const section = type.match(/\w+Config\b/g)?.find((name) => names.has(name));
  return section === undefined ? `\`${type}\`` : `\`${type}\` ([${section}](#${section.toLowerCase()}))`;
}
