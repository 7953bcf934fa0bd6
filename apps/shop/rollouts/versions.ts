/** The further model versions of the shop, which are pushed with the metrics of the training. */
import { readFile } from 'node:fs/promises';
import type { Client } from '@tandem/client/create-client';
import type { ModelDetail, PushInput } from '@tandem/client/wire';
import tandem from '../tandem.config.ts';

interface ShopVersion {
  readonly name: string;
  /** A note for people. */
  readonly note: string;
  /** The feature query; default: that of the 12 columns. */
  readonly query?: string;
  /** For an optimised build: its parent, which is pushed before it. */
  readonly build?: { readonly kind: string; readonly parent: string };
}

export const shopVersions = Object.freeze([
  { name: 'fourteen', note: 'logistic regression with two more columns and another query', query: 'fourteen.sql' },
  { name: 'boosted', note: '60 boosted trees' },
  { name: 'network', note: 'a network, 12 → 32 → 16 → 1' },
  { name: 'network-int8', note: 'the same network with 8-bit weights', build: { kind: 'int8', parent: 'network' } },
  { name: 'balanced', note: 'logistic regression, fitted as if every second customer bought' },
] as const satisfies readonly ShopVersion[]);

export type ShopVersionName = (typeof shopVersions)[number]['name'];

const modelFolder = new URL('../model/', import.meta.url);

export function readModel(name: string): Promise<Buffer> {
  return readFile(new URL(`${name}.onnx`, modelFolder));
}

export async function readQuery({ query }: ShopVersion): Promise<string> {
  if (query !== undefined) return readFile(new URL(query, modelFolder), 'utf8');
  const sql = tandem.predictors.repurchase?.features.sql;
  if (sql === undefined) throw new Error('tandem.config.ts has no feature query for repurchase');
  return sql;
}

/**
 * Reads the metrics by model name, on customers and weeks that the training did not use. The shop starts with
 * `repurchase`.
 */
async function readMetrics() {
  const { models }: { models: Record<string, { heldOutCustomersAtLaterDates: { auc: number; logLoss: number } }> } =
    JSON.parse(await readFile(new URL('metrics.json', modelFolder), 'utf8'));
  return new Map(
    Object.entries(models).map(([name, { heldOutCustomersAtLaterDates: found }]) => {
      return [name, { auc: found.auc, logLoss: found.logLoss }] as const;
    }),
  );
}

/** Pushes the versions and returns their numbers. A version that was pushed before is returned unchanged. */
export async function pushVersions(
  client: Client,
  names: readonly ShopVersionName[],
): Promise<ReadonlyMap<ShopVersionName, ModelDetail>> {
  const metrics = await readMetrics();
  const pushed = new Map<ShopVersionName, ModelDetail>();
  for (const version of shopVersions.filter(({ name }) => names.includes(name))) {
    const push = { ...(await pushOf(version, pushed)), metrics: { ...metrics.get(version.name) } };
    pushed.set(version.name, await client.pushVersion('repurchase', await readModel(version.name), push));
  }
  return pushed;
}

async function pushOf(version: ShopVersion, pushed: ReadonlyMap<string, ModelDetail>): Promise<PushInput> {
  const { note, build } = version;
  const parent = build && pushed.get(build.parent)?.modelVersion;
  return {
    note,
    features: { sql: await readQuery(version) },
    ...(build && parent !== undefined ? { parent, build: build.kind } : {}),
  };
}
