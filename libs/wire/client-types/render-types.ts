/**
 * Renders schemas as the TypeScript declarations that the client carries: plain, read-only, without Zod. Zod's own
 * `toJSONSchema` converts them to JSON Schema first. No existing library fits the second step: openapi-typescript needs
 * the compiler API, which TypeScript 7 no longer has. json-schema-to-typescript has no `readonly`, so an application
 * could not pass a frozen list.
 */
import { z } from 'zod';

/** The result of `toJSONSchema`. Keywords that only narrow a value, such as `minimum`, are left out. */
type JsonSchema = z.core.JSONSchema.BaseSchema;
type Named = Readonly<Record<string, JsonSchema>>;

/** The direction of a schema: a setting with a default is required in answers and optional in requests. */
type Direction = 'output' | 'input';

const COLUMNS = 110;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
/** Keywords that would change a type, and that no schema of the wire uses. */
const UNKNOWN = ['allOf', 'not', 'if', 'prefixItems', 'patternProperties'] as const;
/** Keywords that do not restrict a value's type: a schema with only these accepts any value. */
const ANNOTATIONS = new Set(['$schema', '$id', 'id', 'title', 'description', 'example', 'examples', 'default']);
const PRIMITIVES: Readonly<Record<string, string>> = {
  string: 'string',
  number: 'number',
  integer: 'number',
  boolean: 'boolean',
  null: 'null',
};

/**
 * Returns a declaration for each named schema. A schema whose request and response forms differ is declared twice: the
 * request form is called `…Input`.
 * @param sent the names of what applications send
 * @param registry the schemas by name; default: those of the wire
 */
export function renderTypes(sent: readonly string[], registry = z.globalRegistry): string {
  const schemasOf = (io: Direction): Named => z.toJSONSchema(registry, { io, uri: (id) => id }).schemas;
  const [output, input] = [schemasOf('output'), schemasOf('input')];
  const names = Object.keys(output);
  const sentParts = reachable(input, sent);
  const read = reachable(
    output,
    names.filter((name) => !sentParts.has(name)),
  );
  const twice = differing(
    output,
    input,
    [...sentParts].filter((name) => read.has(name)),
  );
  return names
    .flatMap((name) => [
      ...(read.has(name) ? [declaration(name, output[name])] : []),
      ...(twice.has(name) ? [declaration(`${name}Input`, input[name], twice)] : []),
      ...(sentParts.has(name) && !read.has(name) ? [declaration(name, input[name], twice)] : []),
    ])
    .join('\n\n');
}

/** Returns the given names, and the names of all schemas that they contain. */
function reachable(schemas: Named, names: readonly string[]): ReadonlySet<string> {
  const found = new Set(names);
  for (const name of found) for (const part of referencesOf(schemas[name])) found.add(part);
  return found;
}

function referencesOf(schema: JsonSchema | undefined): string[] {
  return [...JSON.stringify(schema).matchAll(/"\$ref":"(\w+)"/g)].map(([, name = '']) => name);
}

/** Returns the schemas whose request and response forms differ, and those that contain such a schema. */
function differing(output: Named, input: Named, names: readonly string[]): ReadonlySet<string> {
  const differ = new Set(names.filter((name) => typeOf(output[name]) !== typeOf(input[name])));
  for (let before = -1; before !== differ.size; ) {
    before = differ.size;
    for (const name of names) if (referencesOf(input[name]).some((part) => differ.has(part))) differ.add(name);
  }
  return differ;
}

function declaration(name: string, schema: JsonSchema = {}, inputs?: ReadonlySet<string>): string {
  const type = typeOf(schema, inputs);
  const declared = schema.properties ? `interface ${name} ${type}` : `type ${name} = ${type};`;
  return `${comment(schema)}export ${declared}`;
}

/**
 * Returns the type as text.
 * @param inputs names of schemas whose request form is called `…Input`
 */
function typeOf(schema: JsonSchema | boolean | undefined, inputs: ReadonlySet<string> = new Set()): string {
  if (typeof schema !== 'object') return 'unknown';
  const part = (of: JsonSchema | boolean | undefined) => typeOf(of, inputs);
  if (UNKNOWN.some((keyword) => keyword in schema)) throw unknownType(schema);
  const { $ref, const: constant, enum: values, anyOf, oneOf = anyOf, type } = schema;
  if ($ref !== undefined) return inputs.has($ref) ? `${$ref}Input` : $ref;
  if (constant !== undefined) return literal(constant);
  if (values) return values.map(literal).join(' | ');
  if (oneOf) return oneOf.map(part).join(' | ');
  if (Array.isArray(type)) return type.map((one) => part({ type: one })).join(' | ');
  if (type === 'array') return `readonly (${part(schema.items as JsonSchema)})[]`;
  if (type === 'object') return objectType(schema, part);
  const primitive = PRIMITIVES[type ?? ''];
  if (primitive !== undefined) return primitive;
  if (Object.keys(schema).every((keyword) => ANNOTATIONS.has(keyword))) return 'unknown';
  throw unknownType(schema);
}

function unknownType(schema: JsonSchema): Error {
  return new Error(`No type is known for ${JSON.stringify(schema)}.`);
}

function objectType(schema: JsonSchema, part: (of: JsonSchema | boolean | undefined) => string): string {
  const { properties, required = [], additionalProperties: others } = schema;
  const isOpen = typeof others === 'object';
  if (!properties) return `Readonly<Record<string, ${isOpen ? part(others) : 'unknown'}>>`;
  const fields = Object.entries(properties).map(([name, of]) => {
    const key = IDENTIFIER.test(name) ? name : JSON.stringify(name);
    return `${comment(of)}readonly ${key}${required.includes(name) ? '' : '?'}: ${part(of)};`;
  });
  const rest = isOpen ? [`readonly [name: string]: ${part(others)};`] : [];
  const all = [...fields, ...rest];
  const line = `{ ${all.join(' ').replace(/;$/, '')} }`;
  return line.length <= COLUMNS && !line.includes('\n') ? line : `{\n${all.join('\n')}\n}`;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${JSON.stringify(value).slice(1, -1).replaceAll("'", "\\'")}'` : String(value);
}

/** Returns the schema's description as a doc comment and a line break; an empty text without a description. */
function comment(schema: JsonSchema | boolean): string {
  if (typeof schema !== 'object' || schema.description === undefined) return '';
  const lines = [''];
  for (const word of schema.description.split(/\s+/)) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + word.length < COLUMNS) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.length === 1 ? `/** ${lines[0]} */\n` : `/**\n${lines.map((line) => ` * ${line}\n`).join('')} */\n`;
}
