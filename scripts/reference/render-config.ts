/** docs/reference/config.md: every setting of `tandem.config.ts`, from the types that an editor completes. */
import { readFileSync } from 'node:fs';
import { renderTable } from './markdown-table.ts';

const SOURCE = new URL('../../libs/config/define-config.ts', import.meta.url);

interface Setting {
  readonly name: string;
  readonly type: string;
  readonly isOptional: boolean;
  readonly text: string;
}

export function renderConfig(): string {
  const code = readFileSync(SOURCE, 'utf8');
  const interfaces = [...code.matchAll(/(?:\/\*\*\n?([\s\S]*?)\*\/\n)?export interface (\w+) \{\n([\s\S]*?)\n\}/g)];
  return interfaces
    .map(([, doc = '', name = '', body = '']) => {
      const rows = settingsOf(body).map((one) => [
        `\`${one.name}\`${one.isOptional ? '' : ' (required)'}`,
        linked(one.type),
        one.text,
      ]);
      return [`## ${name}`, ...(doc ? [textOf(doc)] : []), renderTable(['setting', 'type', 'meaning'], rows)].join('\n\n');
    })
    .join('\n\n');
}

function settingsOf(body: string): Setting[] {
  const found = body.matchAll(/(?: {2}\/\*\*([\s\S]*?)\*\/\n)? {2}readonly (\w+)(\??): ([\s\S]*?);(?=\n {2}(?:\/\*\*|readonly)|$)/g);
  return [...found].map(([, doc = '', name = '', optional, type = '']) => ({
    name,
    type: type.replaceAll(/\s+/g, ' '),
    isOptional: optional === '?',
    text: textOf(doc),
  }));
}

/** A doc comment's words, in one line. */
function textOf(doc: string): string {
  return doc
    .replaceAll(/^\s*\*? ?/gm, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll(/docs\/([\w-]+\.md)/g, '[$1](../$1)')
    .trim();
}

/** A type as code; the name of another section's type links there. */
function linked(type: string): string {
  const section = /\b(\w+Config)\b/.exec(type)?.[1];
  return section === undefined ? `\`${type}\`` : `\`${type}\` ([${section}](#${section.toLowerCase()}))`;
}
