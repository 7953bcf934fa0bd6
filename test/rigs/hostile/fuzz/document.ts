/** Reads the service's OpenAPI document for the fuzz test: operations with their inputs and answers. */

/** A JSON schema. schema-walk.ts has the supported keywords. */
export type Schema = Readonly<Record<string, unknown>>;

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Schema;
}

export interface Operation {
  readonly operationId: string;
  /** The method in upper case. */
  readonly method: string;
  /** The path, with `{name}` for parameters. */
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** The schemas of bodies by media type. */
  readonly bodies: readonly (readonly [type: string, schema: Schema])[];
  /** Maps a status to the schema of each media type. An answer without a media type has no body. */
  readonly answers: ReadonlyMap<number, ReadonlyMap<string, Schema>>;
}

export interface ApiDocument {
  readonly operations: readonly Operation[];
  /** Maps `$ref` to the schema. */
  readonly definitions: ReadonlyMap<string, Schema>;
}

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

interface RawOperation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}

interface RawDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export async function fetchDocument(url: string): Promise<ApiDocument> {
  return readDocument((await (await fetch(`${url}/openapi.json`)).json()) as RawDocument);
}

export function readDocument({ paths, components }: RawDocument): ApiDocument {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]) => readOperation(path, method, raw)),
  );
  const definitions = new Map(
    Object.entries(components.schemas).map(([name, schema]) => [`#/components/schemas/${name}`, schema]),
  );
  return { operations, definitions };
}

function readOperation(path: string, method: string, raw: RawOperation): Operation {
  const { operationId, parameters = [], requestBody, responses } = raw;
  return {
    operationId,
    method: method.toUpperCase(),
    path,
    parameters,
    bodies: schemasOf(requestBody),
    answers: new Map(Object.entries(responses).map(([status, one]) => [Number(status), new Map(schemasOf(one))])),
  };
}

function schemasOf(holder: Content | undefined): (readonly [string, Schema])[] {
  return Object.entries(holder?.content ?? {}).map(([type, { schema }]) => [type, schema] as const);
}
