/**
 * Generates requests for every operation of the OpenAPI document. Most match the description, many nearly match it, and
 * some do not match at all. A request is a plain value, so that a seed repeats it.
 */
import fc from 'fast-check';
import type { ApiDocument, Operation, Parameter } from './document.ts';
import { bodyTexts, valid } from './json-bodies.ts';
import { nearly, oddTexts, wildTexts } from './texts.ts';

export interface FuzzRequest {
  readonly operation: Operation;
  readonly method: string;
  /**
   * Path and query. `{run:7}` and `{rollout:7}` stand for ids of a run and a rollout, which are known when it is sent.
   */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | null;
}

export function requests(document: ApiDocument): fc.Arbitrary<FuzzRequest> {
  // Made once per operation, because a large schema takes longer than sending a request.
  const ofOperations = document.operations.map((operation) => requestsOf(operation, document));
  return fc.constantFrom(...ofOperations).chain((one) => one);
}

function requestsOf(operation: Operation, document: ApiDocument): fc.Arbitrary<FuzzRequest> {
  const { method, bodies, parameters } = operation;
  const contents = bodies.map(([type, schema]) =>
    contentOf(type, bodyTexts(schema, document.definitions), bodies.length),
  );
  return fc
    .record({
      operation: fc.constant(operation),
      method: methods(method),
      target: targets(operation),
      content: fc.oneof(...(contents.length === 0 ? [noContent(method)] : contents)),
      headers: fc.tuple(headersOf(parameters), oddHeaders()),
    })
    .map(({ content, headers, ...rest }) => ({
      ...rest,
      headers: [...content.headers, ...headers.flat()],
      body: content.body,
    }));
}

function methods(method: string): fc.Arbitrary<string> {
  const others = fc.constantFrom(
    'DELETE',
    'PUT',
    'PATCH',
    'OPTIONS',
    'TRACE',
    'PROPFIND',
    'GET',
    'POST',
    'HEAD',
    'QUERY',
  );
  return fc.oneof(
    { weight: 20, arbitrary: fc.constant(method) },
    { weight: method === 'GET' ? 2 : 0, arbitrary: fc.constant('HEAD') },
    { weight: 1, arbitrary: others },
  );
}

/** A body with the headers that describe it. */
interface Content {
  readonly headers: Headers;
  readonly body: string | null;
}

function noContent(method: string): fc.Arbitrary<Content> {
  const body = fc.oneof(
    { weight: 12, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom('{}', 'x', '[1]') },
  );
  return fc.record({ headers: method === 'GET' ? fc.constant([]) : types('application/json'), body });
}

/** @param kinds the number of media types of the operation; with several, plain JSON is the data of a binary event */
function contentOf(type: string, body: fc.Arbitrary<string>, kinds: number): fc.Arbitrary<Content> {
  const isBinary = kinds > 1 && type === 'application/json';
  const attributes = isBinary ? binaryAttributes() : fc.constant([]);
  const text = isBinary
    ? fc.oneof({ weight: 3, arbitrary: valid({}, new Map(), 'data').map((value) => JSON.stringify(value)) }, body)
    : body;
  return fc
    .record({ type: types(type), attributes, body: text })
    .map((one) => ({ headers: [...one.type, ...one.attributes], body: one.body }));
}

function types(type: string): fc.Arbitrary<Headers> {
  const odd = fc.oneof(fc.constantFrom('text/plain', `${type}; charset=utf-7`, 'a/b', 'json', ''), oddTexts());
  return fc.oneof(
    { weight: 20, arbitrary: fc.constant([['content-type', type] as const]) },
    { weight: 1, arbitrary: odd.map((one) => [['content-type', one] as const]) },
    { weight: 1, arbitrary: fc.constant([]) },
  );
}

function binaryAttributes(): fc.Arbitrary<Headers> {
  const user = fc.oneof(
    { weight: 5, arbitrary: knownValues('userId') },
    { weight: 1, arbitrary: wildTexts().map(encode) },
  );
  return fc.tuple(fc.uuid(), user, fc.nat(9)).map(([id, subject, left]) => {
    const all: Headers = [
      ['ce-specversion', '1.0'],
      ['ce-id', id],
      ['ce-source', '/fuzz'],
      ['ce-type', 'changed'],
      ['ce-subject', subject],
    ];
    return all.filter((_, i) => i !== left);
  });
}

function targets({ path, parameters }: Operation): fc.Arbitrary<string> {
  const inPath = parameters.filter((one) => one.in === 'path');
  const inQuery = parameters.filter((one) => one.in === 'query');
  const filled = fc
    .tuple(...inPath.map((one) => pathTexts(one, path)))
    .map((texts) => inPath.reduce((text, { name }, i) => text.replace(`{${name}}`, () => texts[i] ?? ''), path));
  return fc.tuple(filled, queries(inQuery, path)).map(([start, query]) => start + query);
}

/** Generates values of a path parameter, as they appear in the path. */
function pathTexts({ name }: Parameter, path: string): fc.Arbitrary<string> {
  const known = knownValues(name, path);
  return fc.oneof(
    { weight: 12, arbitrary: known },
    { weight: 2, arbitrary: known.chain(nearly).map(encode) },
    { weight: 2, arbitrary: wildTexts().map(encode) },
    { weight: 1, arbitrary: fc.constantFrom('%', '%zz', '%ff', '%c0%af', '%ed%a0%80', '%2F', ';', 'a/b', '') },
  );
}

/** @param path the operation's path, which decides the kind of id */
function knownValues(name: string, path = ''): fc.Arbitrary<string> {
  switch (name) {
    case 'predictor':
      return fc.constant('count');
    case 'model':
      return path.includes('{version}') ? fc.constant('count') : fc.constantFrom('count', 'count.hybrid');
    case 'userId':
      return fc.integer({ min: 1, max: 25 }).map(String);
    case 'id':
    case 'before':
      return fc.oneof(
        fc.nat(1_000).map((n) => `{${path.startsWith('/v1/rollouts') ? 'rollout' : 'run'}:${n}}`),
        fc.uuid(),
      );
    case 'generation':
    case 'version':
      return fc.constantFrom('1', '2');
    case 'label':
    case 'note':
      return fc.constant('next');
    case 'sha256':
      return fc.constant('0'.repeat(64));
    case 'archived':
      return fc.constantFrom('true', 'false');
    case 'limit':
      return fc.integer({ min: 1, max: 100 }).map(String);
    case 'share':
      return fc.constantFrom('0.25', '1');
    case 'cpuMinutes':
      return fc.constantFrom('0.5', '30');
    default:
      throw new Error(`the fuzz knows no value of the parameter ${name}`);
  }
}

/** Percent-encodes a text. Lone surrogates, which UTF-8 cannot represent, are replaced, and `{run:7}` is kept. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(/%7B(run|rollout)%3A(\d+)%7D/g, '{$1:$2}');
}

function queries(known: readonly Parameter[], path: string): fc.Arbitrary<string> {
  const pairs = known.map(({ name }) =>
    fc
      .oneof({ weight: 4, arbitrary: knownValues(name, path) }, { weight: 1, arbitrary: wildTexts().map(encode) })
      .map((value) => `${name}=${value}`),
  );
  const extra = fc.oneof(
    fc.tuple(wildTexts().map(encode), wildTexts().map(encode)).map(([name, value]) => `${name}=${value}`),
    fc.constantFrom('&&&', '__proto__[x]=1', 'limit', '?', '%', 'limit=1&limit=1'),
  );
  const some = pairs.length === 0 ? fc.constant<string[]>([]) : fc.subarray(pairs).chain((few) => fc.tuple(...few));
  return fc
    .tuple(some, fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: extra }))
    .map(([parts, more]) => (more === null ? [...parts] : [...parts, more]))
    .map((parts) => (parts.length === 0 ? '' : `?${parts.join('&')}`));
}

type Headers = readonly (readonly [string, string])[];

const DOCUMENTED: Readonly<Record<string, fc.Arbitrary<string>>> = {
  'cache-control': fc.constantFrom(
    'no-cache',
    'only-if-cached',
    'max-age=60',
    'max-stale',
    'max-stale=5',
    'max-age=0, max-stale=9',
  ),
  'if-match': fc.constantFrom('*', 'x'),
  'if-none-match': fc.constantFrom('*', 'W/"x"', '"a", W/"b"'),
  'prediction-min-context': fc.constantFrom('{token}', '0000000000000000.1'),
};

function headersOf(parameters: readonly Parameter[]): fc.Arbitrary<Headers> {
  const each = parameters
    // The attributes of a binary event come with its body. A random JSON length is never right, so it is among unusual
    // headers.
    .filter(({ in: place, name }) => place === 'header' && !/^(ce-|inference-)/.test(name))
    .map(({ name }) => {
      const known = DOCUMENTED[name] ?? fc.constant('x');
      const value = fc.oneof({ weight: 4, arbitrary: known }, { weight: 1, arbitrary: known.chain(nearly) });
      return fc.option(
        value.map((text) => [name, text] as const),
        { freq: 3 },
      );
    });
  if (each.length === 0) return fc.constant([]);
  // Half of the requests have no such header, because most reads with several are rejected.
  return fc.oneof(
    fc.constant([]),
    fc.tuple(...each).map((found) => found.filter((one) => one !== null)),
  );
}

const FURTHER: readonly (readonly [string, string])[] = [
  ['inference-header-content-length', '20'],
  ['accept', 'application/xml'],
  ['accept', '*/*;q=0'],
  ['origin', 'https://evil.example'],
  ['sec-fetch-site', 'cross-site'],
  ['content-encoding', 'gzip'],
  ['range', 'bytes=0-1'],
  ['if-match', '"x"'],
  ['if-modified-since', 'never'],
  ['te', 'trailers'],
  ['expect', '100-continue'],
  ['connection', 'close'],
  ['x-forwarded-for', '::1'],
  ['ce-subject', '7'],
  ['ce-specversion', '1.0'],
  ['authorization', 'Bearer x'],
];

function oddHeaders(): fc.Arbitrary<Headers> {
  const odd = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...FURTHER) },
    { weight: 1, arbitrary: wildTexts().map((text) => ['x-odd', text] as const) },
  );
  return fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(odd, { maxLength: 3 }) });
}
