/** Reads the project's TypeScript for the architecture test: files, imports and functions, from a real parser. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseSync, Visitor } from 'rolldown/utils';

export const root = resolve(import.meta.dirname, '../..');

export interface SourceFunction {
  readonly name: string;
  readonly line: number;
  /** The function's lines, without the lines of functions inside it. */
  readonly lines: number;
}

export interface SourceText {
  /** The path relative to the project's root, with forward slashes. */
  readonly path: string;
  readonly isTest: boolean;
  readonly code: string;
}

export interface SourceFile extends SourceText {
  /** `libs/prediction`, `apps/api`, `test`, … */
  readonly workspace: string;
  readonly lines: number;
  /** Import specifiers as written, including those of type imports. */
  readonly imports: readonly string[];
  /** The specifiers of imports that exist at run time. */
  readonly valueImports: readonly string[];
  readonly functions: readonly SourceFunction[];
  /** The lines of assignments of a function literal to a property, such as `this.#read = () => …`. */
  readonly assignedFunctions: readonly number[];
  /** The names that the file exports itself. */
  readonly exports: readonly string[];
  /** The exports of other files that the file uses. `*` means all exports, as in a dynamic import. */
  readonly taken: readonly { readonly specifier: string; readonly name: string }[];
}

const skipped = new Set(['node_modules', '.git', '.tandem', '.turbo', 'data', '.venv']);

/** Reads the files without parsing, which would take seconds. */
export function readSourceTexts(): SourceText[] {
  return ['apps', 'libs', 'test', 'scripts'].flatMap((folder) => walk(join(root, folder)).map(readText));
}

export function readSourceTree(): SourceFile[] {
  return readSourceTexts().map(readSource);
}

/** Lists every folder of the project, relative to its root. */
export function listFolders(): string[] {
  const visit = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && !skipped.has(entry.name)
        ? [join(folder, entry.name), ...visit(join(folder, entry.name))]
        : [],
    );
  return visit(root).map((folder) => relative(root, folder));
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return skipped.has(entry.name) ? [] : walk(join(folder, entry.name));
    return /\.(ts|mjs)$/.test(entry.name) ? [join(folder, entry.name)] : [];
  });
}

function readText(file: string): SourceText {
  const path = relative(root, file).replaceAll('\\', '/');
  const isTest = /\.(test|fixture|clients)\.ts$/.test(path) || path.startsWith('test/');
  return { path, isTest, code: readFileSync(file, 'utf8') };
}

function readSource(text: SourceText): SourceFile {
  const { path, code } = text;
  const parsed = parseSync(join(root, path), code);
  const found = parsed.module.staticImports.map((one) => ({
    specifier: one.moduleRequest.value,
    isType: one.entries.length > 0 && one.entries.every((entry) => entry.isType),
  }));
  const reexported = parsed.module.staticExports.flatMap((one) =>
    one.entries.flatMap((entry) =>
      entry.moduleRequest ? [{ specifier: entry.moduleRequest.value, isType: entry.isType }] : [],
    ),
  );
  const all = [...found, ...reexported];
  return {
    ...text,
    workspace: workspaceOf(path),
    lines: code.split('\n').length - 1,
    imports: all.map((one) => one.specifier),
    valueImports: all.filter((one) => !one.isType).map((one) => one.specifier),
    functions: readFunctions(parsed.program, code),
    assignedFunctions: readAssignedFunctions(parsed.program, code),
    exports: parsed.module.staticExports.flatMap((one) =>
      one.entries.flatMap((entry) => (entry.moduleRequest ? [] : [entry.exportName.name ?? 'default'])),
    ),
    taken: readTaken(parsed.module, code),
  };
}

function readTaken({ staticImports, staticExports }: ReturnType<typeof parseSync>['module'], code: string) {
  const imported = staticImports.flatMap((one) =>
    one.entries.map(({ importName }) => ({
      specifier: one.moduleRequest.value,
      name: importName.kind === 'Default' ? 'default' : (importName.name ?? '*'),
    })),
  );
  const reexported = staticExports.flatMap((one) =>
    one.entries.flatMap(({ moduleRequest, importName }) =>
      moduleRequest ? [{ specifier: moduleRequest.value, name: importName.name ?? '*' }] : [],
    ),
  );
  const dynamic = [...code.matchAll(/import\(\s*'([^']+)'\s*\)/g)].map(([, specifier = '']) => ({
    specifier,
    name: '*',
  }));
  return [...imported, ...reexported, ...dynamic];
}

interface Span {
  readonly start: number;
  readonly end: number;
}

function readFunctions(program: Parameters<Visitor['visit']>[0], code: string): SourceFunction[] {
  const spans: (Span & { name: string })[] = [];
  const note = (node: Span & { id?: { name: string } | null }) => {
    spans.push({ start: node.start, end: node.end, name: node.id?.name ?? '(anonymous)' });
  };
  new Visitor({ FunctionDeclaration: note, FunctionExpression: note, ArrowFunctionExpression: note }).visit(program);
  const lineOf = (offset: number) => code.slice(0, offset).split('\n').length;
  const linesOf = (span: Span) => lineOf(span.end) - lineOf(span.start) + 1;
  const within = (inner: Span, outer: Span) => inner !== outer && inner.start >= outer.start && inner.end <= outer.end;
  return spans.map((span) => {
    const children = spans.filter((inner) => within(inner, span));
    const direct = children.filter((child) => !children.some((other) => within(child, other)));
    // An inner function of one line stands on a line of the outer function.
    const inner = direct.reduce((sum, child) => sum + Math.max(0, linesOf(child) - 1), 0);
    return { name: span.name, line: lineOf(span.start), lines: linesOf(span) - inner };
  });
}

export function readAssignedFunctions(program: Parameters<Visitor['visit']>[0], code: string): number[] {
  const lines: number[] = [];
  new Visitor({
    AssignmentExpression({ start, left, right }) {
      let value = right;
      while (value.type === 'ParenthesizedExpression' || value.type === 'TSAsExpression') value = value.expression;
      const isFunction = value.type === 'FunctionExpression' || value.type === 'ArrowFunctionExpression';
      if (left.type === 'MemberExpression' && isFunction) lines.push(code.slice(0, start).split('\n').length);
    },
  }).visit(program);
  return lines;
}

/** Returns the project file that a specifier refers to, or null for a package or a built-in module. */
export function resolveImport(from: SourceFile, specifier: string): string | null {
  if (specifier.startsWith('.'))
    return relative(root, resolve(root, dirname(from.path), specifier)).replaceAll('\\', '/');
  const [, name, module] = /^@tandem\/([a-z-]+)\/(.+)$/.exec(specifier) ?? [];
  if (name === undefined) return null;
  return existsSync(join(root, 'libs/extensions', name))
    ? `libs/extensions/${name}/${module}.ts`
    : `libs/${name}/${module}.ts`;
}

/** Returns the workspace of a path: `libs/prediction`, `libs/extensions/outcomes`, `apps/api`, `test`, … */
export function workspaceOf(path: string): string {
  return /^(libs\/extensions\/[^/]+|(apps|libs)\/[^/]+|[^/]+)/.exec(path)?.[0] ?? path;
}

/** Returns the package of a specifier: `zod`, `@tandem/wire`, … */
export function packageOf(specifier: string): string {
  const [scope = '', name = ''] = specifier.split('/');
  return scope.startsWith('@') ? `${scope}/${name}` : scope;
}
