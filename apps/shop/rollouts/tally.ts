/** Counts a rollout from the view of the shop: by the arm that answered, each customer once. */
import type { PredictionAnswer } from '@tandem/client/wire';
import type { AnswerOutcomes } from './outcomes.ts';

export interface ArmTally {
  readonly variant: string;
  readonly modelVersion: string;
  /** The number of different customers. */
  readonly customers: number;
  readonly reads: number;
  /** The number of reads whose answer was inferred live, for this read or for an earlier one. */
  readonly live: number;
  /** The mean outcomes over the answers. */
  readonly outcomes: AnswerOutcomes;
}

interface Sums {
  readonly modelVersion: string;
  readonly customers: Set<string>;
  reads: number;
  live: number;
  foresight: number;
  profit: number;
}

export type Tally = ReturnType<typeof createTally>;

export function createTally() {
  const arms = new Map<string, Sums>();
  return {
    add({ variant, modelVersion, userId, source }: PredictionAnswer, { foresight, profit }: AnswerOutcomes): void {
      const sums = arms.get(variant) ?? {
        modelVersion,
        customers: new Set(),
        reads: 0,
        live: 0,
        foresight: 0,
        profit: 0,
      };
      arms.set(variant, sums);
      sums.customers.add(userId);
      sums.reads++;
      if (source === 'live') sums.live++;
      sums.foresight += foresight;
      sums.profit += profit;
    },
    /** Returns the counts since the last call, with `stable` first and the other arms by name. */
    take(): readonly ArmTally[] {
      const taken = [...arms].map(([variant, { modelVersion, customers, reads, live, foresight, profit }]) => ({
        ...{ variant, modelVersion, customers: customers.size, reads, live },
        outcomes: { foresight: foresight / reads, profit: profit / reads },
      }));
      arms.clear();
      return taken.sort((a, b) => rank(a.variant).localeCompare(rank(b.variant)));
    },
  };
}

function rank(variant: string): string {
  return variant === 'stable' ? '' : variant;
}
