/**
 * Gives every object schema of the OpenAPI document a name in `components.schemas`. Client generators need names: they
 * generate one class for each object, and leave out objects and endpoints whose names clash. A schema without `.meta({
 * id: 'Name' })` is named after its place: an item of `User.predictors` becomes `UserPredictor`.
 */
import type { ApiDocument } from './openapi.ts';

/** A JSON schema, reduced to the keywords that contain other schemas or may accompany a reference. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** A request or an answer, with bodies by media type. */
interface Contents {
  readonly content?: Readonly<Record<string, { schema?: JsonSchema }>>;
}

interface Operation {
  readonly operationId: string;
  readonly requestBody?: Contents;
  readonly responses: Readonly<Record<string, Contents>>;
}

type NamedSchemas = Map<string, JsonSchema>;

/** Names the schemas. Throws if two schemas have the same name; `.meta({ id: 'Name' })` renames one of them. */
export function nameSchemas({ paths, components, ...rest }: ApiDocument): ApiDocument {
  const named: NamedSchemas = new Map();
  for (const [name, schema] of Object.entries((components?.schemas ?? {}) as Record<string, JsonSchema>)) {
    addSchema(named, name, withNamedParts(named, name, schema));
  }
  const renamed = structuredClone(paths ?? {});
  for (const operation of Object.values(renamed).flatMap<Operation>(Object.values)) {
    nameContents(named, `${capitalised(operation.operationId)}Body`, operation.requestBody);
    for (const answer of Object.values(operation.responses)) {
      nameContents(named, `${capitalised(operation.operationId)}Answer`, answer);
    }
  }
  return { ...rest, paths: renamed, components: { ...components, schemas: Object.fromEntries(named) } } as ApiDocument;
}

function nameContents(named: NamedSchemas, name: string, { content = {} }: Contents = {}): void {
  for (const body of Object.values(content)) if (body.schema) body.schema = byName(named, name, body.schema);
}

/** Returns a reference if the schema is an object with fields; otherwise the schema with references for its parts. */
function byName(named: NamedSchemas, name: string, schema: JsonSchema): JsonSchema {
  if (!schema.properties) return withNamedParts(named, name, schema);
  const { description, default: preset, type, ...object } = schema;
  addSchema(named, name, { type: 'object', ...withNamedParts(named, name, object) });
  const reference = { $ref: `#/components/schemas/${name}` };
  return {
    ...([type].flat().includes('null') ? { anyOf: [reference, { type: 'null' }] } : reference),
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
  };
}

function withNamedParts(named: NamedSchemas, name: string, schema: JsonSchema): JsonSchema {
  const { properties, additionalProperties, items, anyOf, oneOf } = schema;
  const part = (of: JsonSchema) => byName(named, name, of);
  return {
    ...schema,
    ...(properties && { properties: namedProperties(named, name, properties) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: part(additionalProperties) }),
    ...(items && { items: part(items) }),
    ...(anyOf && { anyOf: anyOf.map(part) }),
    ...(oneOf && { oneOf: oneOf.map(part) }),
  };
}

function namedProperties(named: NamedSchemas, name: string, properties: NonNullable<JsonSchema['properties']>) {
  const entries = Object.entries(properties).map(([key, schema]) => {
    const holdsMany = schema.items !== undefined || typeof schema.additionalProperties === 'object';
    return [key, byName(named, `${name}${capitalised(holdsMany ? key.replace(/s$/, '') : key)}`, schema)];
  });
  return Object.fromEntries(entries) as Record<string, JsonSchema>;
}

function addSchema(named: NamedSchemas, name: string, schema: JsonSchema): void {
  const other = named.get(name);
  if (other && JSON.stringify(other) !== JSON.stringify(schema)) {
    throw new Error(`Two schemas of the OpenAPI document are named ${name}. Name one with .meta({ id: '…' }).`);
  }
  named.set(name, schema);
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
