/**
 * Finds a module's references: the modules it imports, and the files that it names with `new URL(…, import.meta.url)`.
 */
import { parseSync, Visitor } from 'rolldown/utils';

export interface Reference {
  readonly kind: 'module' | 'file';
  /** The text as written, or null for a template whose value is known only at run time. */
  readonly value: string | null;
  /** The position of the text between the quotes. */
  readonly start: number;
  readonly end: number;
}

interface Text {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly value?: unknown;
}

/** Returns the references in the order of the text. Types count too, so that declarations can be read as well. */
export function findReferences(path: string, code: string): Reference[] {
  const { program, errors } = parseSync(path, code);
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message}`);
  const found: Reference[] = [];
  const note = (kind: Reference['kind'], text: Text | null | undefined) => {
    if (text?.type !== 'Literal' && text?.type !== 'TemplateLiteral') return;
    const value = typeof text.value === 'string' ? text.value : null;
    found.push({ kind, value, start: text.start + 1, end: text.end - 1 });
  };
  const noteSource = ({ source }: { source?: Text | null }) => note('module', source);
  new Visitor({
    ImportDeclaration: noteSource,
    ExportNamedDeclaration: noteSource,
    ExportAllDeclaration: noteSource,
    ImportExpression: noteSource,
    TSImportType: noteSource,
    NewExpression: ({ callee, arguments: [first, base] }) => {
      const isFile = callee.type === 'Identifier' && callee.name === 'URL' && base !== undefined;
      if (isFile && code.slice(base.start, base.end) === 'import.meta.url') note('file', first);
    },
  }).visit(program);
  return found.sort((a, b) => a.start - b.start);
}

/** Replaces the text of references. A replacement of null keeps the text. */
export function replaceReferences(
  code: string,
  references: readonly Reference[],
  replacement: (reference: Reference) => string | null,
): string {
  let [done, at] = ['', 0];
  for (const reference of references) {
    done += code.slice(at, reference.start) + (replacement(reference) ?? code.slice(reference.start, reference.end));
    at = reference.end;
  }
  return done + code.slice(at);
}
