/**
 * Prediction memory: keeps in this process the predictions of generations that a read found fresh, so that the next
 * read of the same user need not ask Redis. A remembered prediction is a candidate like any other and proves nothing:
 * each read judges it under its own certificate. Only rows of generations are remembered, since they never change;
 * overlay entries are not. A large read adds no users: they would displace users that are read often. A row of a base is
 * remembered under the generation above it, which has no row of the user; the next generation above may have one.
 *
 * The memory has two halves, which limit its size. Entries that are read move to the young half. When the young half is
 * full, it becomes the old half, and the previous old half is dropped (the algorithm of the package hashlru). A timer
 * also rotates the halves, so that unread entries expire. So no prediction of a user stays long after another process
 * committed an erasure or a publication. A read of an erased user removes the user's entry at once.
 */
import type { Answer, Candidate, RememberedPrediction } from './answer.ts';
import type { AssignedGeneration, Assignments } from './certificate.ts';
import type { Prediction } from './predictor.ts';
import type { Label } from './stored-prediction.ts';

export interface PredictionMemory {
  /**
   * Returns the remembered prediction of a user.
   * @param generationId the assigned generation, even if its base has the row
   */
  find(generationId: string, userId: string): RememberedPrediction | undefined;
  /**
   * Remembers a prediction.
   * @returns the remembered prediction: the given one or an equal one; undefined if there is no room
   */
  keep(generationId: string, userId: string, remembered: RememberedPrediction): RememberedPrediction | undefined;
  /** Forgets a user's predictions of every generation. */
  forgetUser(userId: string): void;
  /** Returns the number of remembered predictions. */
  size(): number;
}

interface PredictionMemoryOptions {
  /** The limit of the memory's estimated bytes; 0: nothing is remembered. */
  readonly maxBytes: number;
}

/** Entries that are not read are dropped after one to two of these periods, by the timer alone. */
export const HALF_LIFE_MS = 300_000;
/**
 * Bytes of a prediction, the texts of its last answer, and its map entry, measured with one score a user and ids of 8
 * digits.
 */
const ENTRY_BYTES = 790;

/** Predictions of one generation. */
interface Users {
  readonly remembered: Map<string, RememberedPrediction>;
  /**
   * Labels by the time at which features were read. The users of a chunk share one label, except the few with a
   * context.
   */
  readonly labels: Map<number, Label>;
}

export function createPredictionMemory({ maxBytes }: PredictionMemoryOptions): PredictionMemory {
  let young = new Map<string, Users>();
  let old = new Map<string, Users>();
  let youngBytes = 0;
  let turning: NodeJS.Timeout | undefined;

  function turn(): void {
    old = young;
    young = new Map();
    youngBytes = 0;
  }

  function turnByTheClock(): void {
    turn();
    if (old.size > 0) return;
    clearInterval(turning);
    turning = undefined;
  }

  function keep(
    generationId: string,
    userId: string,
    remembered: RememberedPrediction,
  ): RememberedPrediction | undefined {
    const bytes = bytesOf(userId, remembered.prediction);
    if (2 * bytes > maxBytes) return undefined;
    // The timer does not keep the process alive.
    turning ??= setInterval(turnByTheClock, HALF_LIFE_MS).unref();
    if (youngBytes + bytes > maxBytes / 2) turn();
    let users = young.get(generationId);
    if (!users) {
      users = { remembered: new Map(), labels: new Map() };
      young.set(generationId, users);
    }
    if (!users.remembered.has(userId)) youngBytes += bytes;
    const kept = withSharedLabel(users.labels, remembered);
    users.remembered.set(userId, kept);
    return kept;
  }

  return {
    keep,
    find(generationId, userId) {
      const recent = young.get(generationId)?.remembered.get(userId);
      if (recent) return recent;
      const users = old.get(generationId);
      const earlier = users?.remembered.get(userId);
      if (!earlier) return undefined;
      users?.remembered.delete(userId);
      return keep(generationId, userId, earlier) ?? earlier;
    },
    forgetUser(userId) {
      for (const half of [young, old]) for (const { remembered } of half.values()) remembered.delete(userId);
    },
    size: () => sizeOf(young) + sizeOf(old),
  };
}

function sizeOf(half: ReadonlyMap<string, Users>): number {
  let size = 0;
  for (const { remembered } of half.values()) size += remembered.size;
  return size;
}

function withSharedLabel(labels: Map<number, Label>, remembered: RememberedPrediction): RememberedPrediction {
  const { label } = remembered;
  const known = labels.get(label.computedAt);
  if (known === label) return remembered;
  if (!known) labels.set(label.computedAt, label);
  else if (areEqual(known, label)) return { ...remembered, label: known };
  return remembered;
}

function areEqual(one: Label, other: Label): boolean {
  return (
    one.contextVersion === other.contextVersion &&
    one.computedAt === other.computedAt &&
    one.layer === other.layer &&
    one.source === other.source &&
    one.modelVersionId === other.modelVersionId &&
    one.generationId === other.generationId &&
    one.history === other.history &&
    one.overlayFloor === other.overlayFloor
  );
}

/** A memory that keeps nothing. */
export const NO_MEMORY: PredictionMemory = Object.freeze({
  find: nothing,
  keep: nothing,
  forgetUser: nothing,
  size: () => 0,
});

function nothing(): undefined {}

function bytesOf(userId: string, prediction: Prediction): number {
  let bytes = ENTRY_BYTES + 2 * userId.length;
  for (const value of Object.values(prediction)) {
    if (typeof value === 'object') bytes += 16 * value.length;
    else if (typeof value === 'string') bytes += 2 * value.length;
    else bytes += 16;
  }
  return bytes;
}

/** Predictions by user. */
export type Remembered = ReadonlyMap<string, RememberedPrediction>;

/**
 * Finds the remembered predictions of users.
 * @param assignments the last assignments from Postgres; a wrong guess is harmless
 */
export function findRemembered(
  memory: PredictionMemory,
  assignments: Assignments | undefined,
  userIds: readonly string[],
): Remembered {
  const found = new Map<string, RememberedPrediction>();
  if (!assignments || memory === NO_MEMORY) return found;
  for (const userId of userIds) {
    const { generation } = assignments.of(userId);
    const one = generation ? memory.find(generation.id, userId) : undefined;
    if (one) found.set(userId, one);
  }
  return found;
}

/**
 * Remembers fresh answers from the assigned generation or its base. Returns the answer, which notes the remembered
 * prediction.
 */
export function remember(
  memory: PredictionMemory,
  generation: AssignedGeneration | null,
  candidate: Candidate,
  answer: Answer,
): Answer {
  if ('label' in candidate || candidate.layer !== 'generation' || memory === NO_MEMORY) return answer;
  // The bytes are omitted: they share memory with everything else that arrived with them.
  const { outputs: _outputs, ...label } = candidate;
  const prediction = Object.freeze(answer.prediction);
  const kept = memory.keep(generation?.id ?? '', answer.userId, { label, prediction, rendering: undefined });
  return kept ? { ...answer, remembered: kept } : answer;
}
