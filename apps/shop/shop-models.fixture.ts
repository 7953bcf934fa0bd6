/**
 * Fixture for tests: the models of the shop, and golden.csv with the features and scores of 50 customers from the
 * training.
 */
import { readFile } from 'node:fs/promises';
import { type ToyPredictor, toyPredictor } from '@tandem/inference/live/toy-predictor.fixture';
import { readModel, shopVersions } from './rollouts/versions.ts';

export const modelNames = ['repurchase', ...shopVersions.map(({ name }) => name)];

export interface GoldenRow {
  readonly customerId: string;
  readonly asOf: string;
  /** The fourteen features. The last two come only from fourteen.sql. */
  readonly features: readonly number[];
  /** Scores by model. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface Golden {
  /** Names of the features. */
  readonly names: readonly string[];
  readonly rows: readonly GoldenRow[];
}

export async function readGolden(): Promise<Golden> {
  const text = await readFile(new URL('./model/golden.csv', import.meta.url), 'utf8');
  const [header = '', ...lines] = text.trimEnd().split('\n');
  const columns = header.split(',');
  const models = columns.filter((column) => modelNames.includes(column));
  const names = columns.slice(2, -models.length);
  return {
    names,
    rows: lines.map((line) => {
      const [customerId = '', asOf = '', ...values] = line.split(',');
      const features = values.slice(0, names.length).map(Number);
      const scores = models.map((name, place) => [name, Number(values[names.length + place])] as const);
      return { customerId, asOf, features, scores: Object.fromEntries(scores) };
    }),
  };
}

/** Returns the definition of a model by its columns: the first twelve or all fourteen of golden.csv. */
export async function shopModel(name: string, names: readonly string[]): Promise<ToyPredictor> {
  const columns = names.slice(0, columnCountOf(name));
  return toyPredictor(
    await readModel(name),
    columns.map((column) => ({ name: column, kind: 'number' })),
    [{ name: 'features', type: 'float32', columns }],
  );
}

export function columnCountOf(name: string): number {
  return name === 'fourteen' ? 14 : 12;
}
