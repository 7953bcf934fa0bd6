/**
 * A read while generations have layers. Its certificate has the generation and its base, and whether each is outdated.
 */
import { nth, type Step, step } from '../checker/model.ts';
import type { LayerReader, LayerRules, LayerState, Row } from './layered-generation-state.ts';
import { isFreshUnder } from './worth.ts';

type Steps = Generator<Step<LayerState>>;
type Told = NonNullable<LayerReader['told']>;

export function newLayerReader(): LayerReader {
  return { is: 'away', due: { changes: 0, version: 0 }, told: null };
}

/** A candidate, and the generation that contains it. */
interface Found {
  readonly row: Row;
  readonly lies: number;
}

export function* layerReaderSteps(rules: LayerRules, state: LayerState, i: number): Steps {
  const reader = nth(state.readers, i);
  const { changes, version, arm, generations } = state.postgres;
  if (reader.is === 'away') {
    yield step(state, `reader ${i + 1}: arrives`, (draft) => {
      Object.assign(nth(draft.readers, i), { is: 'asking', due: { changes, version } });
    });
  }
  if (reader.is !== 'asking') return;
  if (reader.told !== null) {
    yield* answerSteps(rules, state, i, reader.told);
    return;
  }
  yield step(state, `reader ${i + 1}: is certified for generation ${arm.generation}`, (draft) => {
    const own = nth(generations, arm.generation - 1);
    const base = rules.base === 'of the certificate' ? own.base : state.known.base;
    const isOutdated = own.source < changes;
    const below = base === 0 ? own : nth(generations, base - 1);
    const isBaseOutdated = rules.outdated === 'by the run of its layer' ? below.source < changes : isOutdated;
    nth(draft.readers, i).told = { generation: arm.generation, base, version, isOutdated, isBaseOutdated };
  });
}

function* answerSteps(rules: LayerRules, state: LayerState, i: number, told: Told): Steps {
  const answer = (where: string, found: Found | null) => {
    if (found === null || !isFresh(told, found)) return [];
    return [
      step(state, `reader ${i + 1}: answers as fresh, from generation ${found.lies} in ${where}`, (draft) => {
        draft.broken = brokenBy(rules, state, nth(state.readers, i), told, found);
        const under = rules.memory === 'by the assigned generation' ? told.generation : found.lies;
        draft.memory = { under, ...found };
        draft.known = { generation: told.generation, base: nth(state.postgres.generations, told.generation - 1).base };
        Object.assign(nth(draft.readers, i), newLayerReader(), { is: 'answered' });
      }),
    ];
  };
  const remembered = rememberedOf(rules, state, told);
  yield* answer('memory', remembered);
  const online = inRedis(rules, state, told);
  yield* answer('Redis', online);
  if (online === null) yield* answer('Postgres', inPostgres(state, told));
}

function rememberedOf(rules: LayerRules, { memory }: LayerState, { generation, base }: Told): Found | null {
  if (memory === null) return null;
  const isAsked = memory.under === generation || (rules.memory === 'by the layer' && memory.under === base);
  return isAsked ? memory : null;
}

function inRedis(rules: LayerRules, { redis }: LayerState, { generation, base }: Told): Found | null {
  const own = nth(redis, generation - 1);
  if (own.row) return { row: own.row, lies: generation };
  if (base === 0 || !(own.isWhole || rules.offers === 'always')) return null;
  const { row } = nth(redis, base - 1);
  return row && { row, lies: base };
}

function inPostgres({ postgres }: LayerState, { generation, base }: Told): Found | null {
  for (const lies of [generation, base]) {
    const row = lies === 0 ? null : nth(postgres.generations, lies - 1).row;
    if (row) return { row, lies };
  }
  return null;
}

/** The product's own rule decides (worth.ts). */
function isFresh({ version, generation, isOutdated, base, isBaseOutdated }: Told, { row, lies }: Found): boolean {
  const below = base === 0 ? null : { generation: base, isOutdated: isBaseOutdated };
  return isFreshUnder({ version, generation, isOutdated, base: below }, { label: row.label, generation: lies });
}

/** Checks I4, I5 and I9 by the recorded facts of the computation and of the generations. */
function brokenBy(
  rules: LayerRules,
  { postgres }: LayerState,
  { due }: LayerReader,
  { generation }: Told,
  { row, lies }: Found,
): string | null {
  const own = nth(postgres.generations, generation - 1);
  if (row.from < due.changes) return 'I4: a fresh answer from before a bulk change that was committed';
  if (row.label < due.version) return 'I4: a fresh answer from older context than was acknowledged';
  if (lies !== generation && lies !== own.base) return 'I9: a fresh answer from a base that is not assigned';
  if (lies !== generation && own.row) return 'I9: the base answers in place of a row of the generation above it';
  const number = rules.number === 'of its layer' ? lies : generation;
  return number === lies ? null : `I9: an answer of generation ${lies} says that it is of ${number}`;
}
