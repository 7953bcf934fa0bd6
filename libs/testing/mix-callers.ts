/** Callers who ask at once for rows that show whose they are, until enough were asked for; processes are killed meanwhile. */

/** The results for the rows of one call. */
export interface SeenRows {
  /** Rows asked for, and of them those that were answered. */
  readonly asked: number;
  readonly answered: number;
  /** Rows that are not their caller's, in words. */
  readonly foreign: readonly string[];
}

export interface MixedCall extends SeenRows {
  readonly kind: string;
}

interface MixedRows extends SeenRows {
  readonly kills: number;
  /** Rows that were answered. */
  readonly byKind: Readonly<Record<string, number>>;
}

interface Mix {
  readonly rows: number;
  readonly callers: number;
  /** Returns whole numbers from 0 to less than `below`. */
  readonly random: (below: number) => number;
  /** @param nextToken gives a number that no other row has */
  call(nextToken: () => number): Promise<MixedCall>;
  /** Kills a process. Returns how many were killed. */
  kill(): number;
}

export async function mixCallers({ rows, callers, random, call, kill }: Mix): Promise<MixedRows> {
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

/** Mulberry32: whole numbers from 0 to less than `below`. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
