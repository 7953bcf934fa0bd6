/**
 * Runs concurrent callers that request rows with unique tokens, until enough rows were requested. Processes are killed
 * meanwhile.
 */

/** The results for the rows of one call. */
export interface SeenRows {
  /** The number of requested rows. `answered` is the number of answered ones. */
  readonly asked: number;
  readonly answered: number;
  /** Descriptions of rows that belong to another caller. */
  readonly foreign: readonly string[];
}

export interface MixedCall extends SeenRows {
  readonly kind: string;
}

interface Mix {
  readonly rows: number;
  readonly callers: number;
  /** Returns a whole number from 0 to less than `below`. */
  readonly random: (below: number) => number;
  /**
   * Requests rows.
   * @param nextToken returns a number that no other row has
   */
  call(nextToken: () => number): Promise<MixedCall>;
  /** Kills a process. Returns the number of killed processes. */
  kill(): number;
}

export async function mixCallers({ rows, callers, random, call, kill }: Mix) {
  const tally = { asked: 0, answered: 0, kills: 0, foreign: [] as string[], byKind: {} as Record<string, number> };
  let token = 1_000;
  const callOn = async () => {
    while (tally.asked < rows && tally.foreign.length === 0) {
      const isDue = tally.kills === 0 && tally.asked > rows / 2;
      if (isDue || random(400) === 0) tally.kills += kill();
      const { kind, asked, answered, foreign } = await call(() => ++token);
      tally.asked += asked;
      tally.answered += answered;
      tally.byKind[kind] = (tally.byKind[kind] ?? 0) + answered;
      tally.foreign.push(...foreign);
    }
  };
  await Promise.all(Array.from({ length: callers }, callOn));
  return tally;
}

/** Returns a generator of whole numbers from 0 to less than `below`: mulberry32. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
