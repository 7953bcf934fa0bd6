/**
 * Lists the SQL statements of libs/offline-store that have a row type: `query<Row>(db, { text })` and
 * `client.query<Row>(text)`. The texts use constants and functions that no module exports. So this file is a program
 * that loads each module with an additional export of the texts. Prints a `KeptList` as JSON.
 */
import { registerHooks } from 'node:module';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { CallExpression, Expression, Node, SourceFile } from 'typescript/unstable/ast';
import * as is from 'typescript/unstable/ast/is';
import { API, type Checker, type Type } from 'typescript/unstable/sync';

/** The kind of a column's TypeScript type, ignoring null. `other` is an object, a list, or an unknown type. */
export type ColumnKind = 'number' | 'string' | 'boolean' | 'Date' | 'Buffer' | 'other';

export interface KeptStatement {
  /** `runs/run-rows.ts:49`. */
  readonly place: string;
  readonly columns: Readonly<Record<string, ColumnKind>>;
  /** The text of a statement, or both texts if it depends on a condition. */
  readonly texts: readonly string[];
}

export interface KeptList {
  readonly statements: readonly KeptStatement[];
  /** The file of each typed call whose text this program cannot find, such as `runs/key-boundaries.ts`. */
  readonly unread: readonly string[];
}

/** The id of a generation with a partition, which the test creates. */
export const GENERATION = '00000000-0000-4000-8000-000000000000';

const FEATURES = 'select 1::bigint as user_id';

/** Local variables that texts are made of. */
const LOCALS = {
  ...{ sql: FEATURES, text: FEATURES, version: { query: { sql: FEATURES, columns: [] }, keyType: 'int8' } },
  ...{ generationIds: [GENERATION], from: null, to: null, arm: { generation_id: GENERATION } },
  slotTable: 'tandem.outbox_0',
  record: 'migrations',
  ...{ table: 'event_ids', horizon: 'clock_timestamp()', day: { partition: 'tandem.events_before' } },
  ...{ generation: { id: GENERATION }, layers: '' },
};

/** Of the other branch of a text that depends on a condition. */
const OTHERWISE = { ...LOCALS, wasErased: true, known: 1 };

interface Site {
  readonly place: string;
  readonly file: string;
  readonly columns: Readonly<Record<string, ColumnKind>>;
  /** The source of the expression that is the text; null where none is found. */
  readonly source: string | null;
  /** Variables of functions that it uses. */
  readonly locals: readonly string[];
}

const root = join(import.meta.dirname, '../..');
const store = join(root, 'libs/offline-store');

function findSites(): Site[] {
  const api = new API({ cwd: root });
  try {
    const project = api.updateSnapshot({ openProjects: [join(store, 'tsconfig.json')] }).getProjects()[0];
    if (!project) throw new Error('TypeScript does not open libs/offline-store');
    const { program, checker } = project;
    return program
      .getSourceFileNames()
      .filter((name) => name.startsWith(store) && !/node_modules|\.(test|fixture)\.ts$/.test(name))
      .flatMap((name) => {
        const file = program.getSourceFile(name);
        return file ? sitesOf(file, checker) : [];
      });
  } finally {
    api.close();
  }
}

function sitesOf(file: SourceFile, checker: Checker): Site[] {
  const outside = new Set(file.statements.flatMap(namesOf));
  const sites: Site[] = [];
  const visit = (node: Node): void => {
    if (is.isCallExpression(node) && isQuery(node)) {
      const text = textOf(node);
      const line = file.text.slice(0, node.getStart()).split('\n').length;
      sites.push({
        place: `${relative(store, file.fileName)}:${line}`,
        file: file.fileName,
        columns: columnsOf(node, checker),
        source: text?.getText() ?? null,
        locals: text ? identifiers(text).filter((name) => !outside.has(name)) : [],
      });
    }
    node.forEachChild(visit);
  };
  visit(file);
  return sites;
}

const QUERIES = new Set(['query', 'queryFirst', 'queryOne']);

/** `query<Row>(db, …)`, `client.query<Row>(…)`. */
function isQuery({ expression, typeArguments }: CallExpression): boolean {
  const name = is.isPropertyAccessExpression(expression) ? expression.name : expression;
  return is.isIdentifier(name) && QUERIES.has(name.text) && typeArguments?.length === 1;
}

function textOf({ expression, arguments: [first, second] }: CallExpression): Expression | undefined {
  const statement = is.isIdentifier(expression) ? second : first;
  if (!statement) return undefined;
  if (is.isTemplateExpression(statement) || is.isNoSubstitutionTemplateLiteral(statement)) return statement;
  if (!is.isObjectLiteralExpression(statement)) return undefined;
  for (const property of statement.properties) {
    if (is.isSpreadAssignment(property) || property.name.getText() !== 'text') continue;
    if (is.isPropertyAssignment(property)) return property.initializer;
    return is.isShorthandPropertyAssignment(property) ? initializerOf(property) : undefined;
  }
  return undefined;
}

/** Of the constant `text` in the function around. */
function initializerOf(use: Node): Expression | undefined {
  let found: Expression | undefined;
  const visit = (node: Node): void => {
    if (is.isVariableDeclaration(node) && node.name.getText() === 'text') found = node.initializer;
    node.forEachChild(visit);
  };
  for (let around = use.parent; around && !found && !is.isSourceFile(around); around = around.parent) {
    if (is.isBlock(around)) visit(around);
  }
  return found;
}

function identifiers(expression: Node): string[] {
  const names = new Set<string>();
  const visit = (node: Node): void => {
    if (is.isIdentifier(node)) names.add(node.text);
    if (is.isPropertyAccessExpression(node)) visit(node.expression);
    else node.forEachChild(visit);
  };
  visit(expression);
  return [...names];
}

function namesOf(statement: Node): string[] {
  if (is.isImportDeclaration(statement)) return identifiers(statement);
  if (is.isFunctionDeclaration(statement)) return [statement.name?.text ?? ''];
  if (!is.isVariableStatement(statement)) return [];
  return statement.declarationList.declarations.map(({ name }) => name.getText());
}

function columnsOf({ typeArguments }: CallExpression, checker: Checker): Record<string, ColumnKind> {
  const row = typeArguments?.[0] && checker.getTypeFromTypeNode(typeArguments[0]);
  const columns = (row ? checker.getPropertiesOfType(row) : []).map((column) => {
    const type = checker.getTypeOfSymbol(column);
    return [column.name, type ? kindOf(type, checker) : 'other'] as const;
  });
  return Object.fromEntries(columns);
}

function kindOf(type: Type, checker: Checker): ColumnKind {
  const held = checker.getNonNullableType(type) ?? type;
  if (checker.isTypeAssignableTo(held, checker.getNumberType())) return 'number';
  if (checker.isTypeAssignableTo(held, checker.getStringType())) return 'string';
  if (checker.isTypeAssignableTo(held, checker.getBooleanType())) return 'boolean';
  const name = checker.typeToString(held);
  return name === 'Date' ? 'Date' : name.startsWith('Buffer') ? 'Buffer' : 'other';
}

/** Loads the modules with their texts as an export. */
async function evaluate(sites: readonly Site[]): Promise<KeptStatement[]> {
  const byFile = Map.groupBy(sites, ({ file }) => file);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const of = url.startsWith('file:') ? byFile.get(fileURLToPath(url)) : undefined;
      if (!of) return loaded;
      const texts = of.map(({ source, locals }) => `({ ${locals.join(', ')} }) => (${source})`);
      return { ...loaded, source: `${loaded.source}\nexport const keptTexts = [${texts.join(',\n')}];\n` };
    },
  });
  const kept: KeptStatement[] = [];
  for (const [file, of] of byFile) {
    const module = (await import(pathToFileURL(file).href)) as { keptTexts: ((locals: object) => string)[] };
    for (const [i, { place, columns }] of of.entries()) {
      const texts = [LOCALS, OTHERWISE].map((locals) => `${module.keptTexts[i]?.(locals)}`);
      kept.push({ place, columns, texts: [...new Set(texts)] });
    }
  }
  return kept;
}

async function listKept(): Promise<KeptList> {
  const sites = findSites();
  const unread = sites.filter(({ source }) => source === null).map(({ file }) => relative(store, file));
  return { statements: await evaluate(sites.filter(({ source }) => source !== null)), unread };
}

if (import.meta.main) process.stdout.write(JSON.stringify(await listKept()));
