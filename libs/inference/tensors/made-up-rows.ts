/**
 * Makes up users for a model's trial, the same on every machine, since a table may have no users yet, or only similar
 * ones. Numbers have several magnitudes, which reveals a scale over a batch or a threshold. Texts are only those that
 * the model may know. A model may reject any of these users, like a real one.
 */

import type { FeatureBatch } from '@tandem/freshness/features';
import type { FeatureColumn, ModelDefinition, RequestColumn, TensorType } from '@tandem/freshness/predictor';

type Value = number | string | null;

/** The first values are 0, 1 and 0.5, which every model should accept. */
const PLAIN = [0, 1, 0.5];
const MAGNITUDES = [1, 10, 100, 1_000];
const SEED = 0x7a11;
/** Shares of made-up values that are null, unknown to the model, or from a real user, if that is allowed. */
const NULLS = 0.1;
const UNKNOWN = 0.1;
const REAL = 0.5;

/**
 * Returns a batch of made-up users.
 * @param sample real users, with values that are mixed in for each column
 */
export function makeUpRows(definition: ModelDefinition, count: number, sample?: FeatureBatch): FeatureBatch {
  const { query, request = [], inputs } = definition;
  const columns = [...query.columns, ...request];
  const random = createRandom(SEED);
  const users = Array.from({ length: count }, (_, row) => row);
  return {
    history: '',
    readAt: 0,
    userIds: users.map((row) => `made up ${row + 1}`),
    contextVersions: users.map(() => 0),
    columns,
    values: columns.map((column) => {
      const type = typeOf(column, inputs);
      const asked = request.find(({ name }) => name === column.name);
      if (asked) return users.map(requestMaker(asked, type));
      const make = valueMaker(column, type, realValues(column, sample), random);
      return users.map(make);
    }),
    faults: new Map(),
    unusable: new Map(),
  };
}

type ValueMaker = (row: number) => Value;

function valueMaker(column: FeatureColumn, type: TensorType, real: readonly Value[], random: () => number): ValueMaker {
  const pick = (values: readonly Value[]): Value => values[Math.floor(random() * values.length)] ?? null;
  const make = ((): ValueMaker => {
    if (column.categories) return categoryMaker(column.categories, pick, random);
    if (column.kind === 'string') {
      return real.length > 0 ? () => pick(real) : (row) => ['', 'a', 'b'][row % 3] ?? '';
    }
    const invent = (row: number) => fit(row < PLAIN.length ? (PLAIN[row] ?? 0) : magnitude(row, random), column, type);
    return (row) => (row >= PLAIN.length && real.length > 0 && random() < REAL ? pick(real) : invent(row));
  })();
  if (column.nullAs === undefined) return make;
  return (row) => (row >= PLAIN.length && random() < NULLS ? null : make(row));
}

function categoryMaker(
  { values, unknownAs }: NonNullable<FeatureColumn['categories']>,
  pick: (values: readonly Value[]) => Value,
  random: () => number,
): ValueMaker {
  return (row) => {
    if (row < PLAIN.length) return values[row % values.length] ?? '';
    return unknownAs !== undefined && random() < UNKNOWN ? 'none of these' : pick(values);
  };
}

/**
 * Returns a number. In half of the rows all values have one magnitude, in the others each value has its own. Every
 * other pair of rows also has negative values.
 */
function magnitude(row: number, random: () => number): number {
  const size = MAGNITUDES[row % 2 === 0 ? (row >> 1) % MAGNITUDES.length : Math.floor(random() * MAGNITUDES.length)];
  const sign = (row >> 1) % 2 === 0 && random() < 0.5 ? -1 : 1;
  return sign * (size ?? 1) * random();
}

/** Returns the value in the column's kind and within the range of its input. */
function fit(value: number, { kind }: FeatureColumn, type: TensorType): number {
  if (kind === 'boolean' || type === 'bool') return Math.ceil(Math.abs(value)) % 2;
  const unsigned = type.startsWith('uint') ? Math.abs(value) : value;
  if (kind === 'number') return unsigned;
  const whole = Math.round(unsigned);
  return type === 'int8' || type === 'uint8' ? whole % 128 : whole;
}

/** Returns the element type of the input that a column fills. */
function typeOf({ name }: FeatureColumn, inputs: ModelDefinition['inputs']): TensorType {
  return inputs.find(({ columns }) => columns.includes(name))?.type ?? 'float32';
}

function realValues({ name }: FeatureColumn, sample: FeatureBatch | undefined): Value[] {
  const at = sample?.columns.findIndex((column) => column.name === name) ?? -1;
  return Array.from(sample?.values[at] ?? []).filter((value) => value !== null);
}

/**
 * Returns values that a call may send for a request feature: the default and the declared examples. Without examples,
 * they are the categories, or numbers of several magnitudes within the bounds.
 */
function requestValues(column: RequestColumn, type: TensorType): readonly Value[] {
  const { examples, categories, kind, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = column;
  const ofDefault = column.default === undefined ? [] : [column.default];
  if (examples) return [...ofDefault, ...examples];
  if (kind === 'string') return [...ofDefault, ...(categories?.values ?? ['', 'a', 'b'])];
  const numbers = [...PLAIN, ...MAGNITUDES, min, max].filter(Number.isFinite);
  const within = numbers.map((value) => Math.min(max, Math.max(min, fit(value, column, type))));
  return [...ofDefault, ...new Set(within)];
}

/**
 * Returns a maker that selects by row and by column name, so that values of a column are combined with different values
 * of other columns.
 */
function requestMaker(column: RequestColumn, type: TensorType): ValueMaker {
  const values = requestValues(column, type);
  const offset = hashOf(column.name);
  return (row) => values[(row + (row >> 4) + offset) % values.length] ?? null;
}

/**
 * Returns real users with values of the request features. The values depend only on the user, so that a user who is
 * read twice has the same values.
 */
export function withTrialRequests({ request, inputs }: ModelDefinition, batch: FeatureBatch): FeatureBatch {
  const { requestFrom } = batch;
  if (request === undefined || requestFrom === undefined) return batch;
  const asked = request.map((column) => {
    const type = typeOf(column, inputs);
    const make = requestMaker(column, type);
    return batch.userIds.map((userId) => make(hashOf(userId)));
  });
  return { ...batch, values: [...batch.values.slice(0, requestFrom), ...asked] };
}

/** Returns the upper 31 bits of a text's FNV-1a hash. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 1;
}

/** Returns a generator of uniform numbers in [0, 1): mulberry32 by Tommy Ettinger, with 32 bits of state. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
