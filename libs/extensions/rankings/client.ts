/** Ranks candidates for one user by a prediction for each candidate. */
import type { Connection } from '@tandem/transport/open-connection';
import type {
  AnyPredictors,
  PredictorsLike,
  PredictorTypes,
  RequestPredictorName,
} from '@tandem/transport/predictor-types';
import { callOf, type PredictOptions } from '@tandem/transport/read-call';
import { methodsOf, type RepeatedCallOptions } from '@tandem/transport/transport';
import type { Rank, Ranking } from './wire-types.ts';

/** The outputs that candidates can be ranked by: a single number or a boolean. */
type RankableOutput<Outputs> = {
  [K in keyof Outputs]: Extract<Outputs[K], number | boolean> extends never ? never : K;
}[keyof Outputs] &
  string;

/** The candidates of a ranking, and how to rank them. */
export interface RankInput<T extends PredictorTypes = AnyPredictors[string]> extends Omit<Rank, 'candidates' | 'by'> {
  readonly candidates: readonly { readonly id: string; readonly features: NonNullable<T['request']> }[];
  /** The output to rank by, in descending order. Default: the output of the decision, or the only numeric one. */
  readonly by?: RankableOutput<T['outputs']>;
}

type Ranked = Ranking['ranked'][number];

/** A ranking with the predictor's own outputs. */
export interface RankingOf<N extends string = string, Outputs = AnyPredictors[string]['outputs']>
  extends Omit<Ranking, 'predictor' | 'ranked'> {
  readonly predictor: N;
  /** Candidates in descending order; equal candidates in the order of the call. */
  readonly ranked: readonly (Omit<Ranked, 'prediction'> & { readonly prediction: Outputs })[];
}

export type RankOptions = RepeatedCallOptions & Pick<PredictOptions, 'minContext'>;

export interface RankingCalls<P extends PredictorsLike<P> = AnyPredictors> {
  /** Ranks up to 500 candidates for one user by a prediction. */
  rank<N extends RequestPredictorName<P>>(
    predictor: N,
    input: RankInput<P[N]>,
    options?: RankOptions,
  ): Promise<RankingOf<N, P[N]['outputs']>>;
}

/** Returns the section of a client. */
export function rankingCalls<P extends PredictorsLike<P> = AnyPredictors>({
  transport,
}: Pick<Connection, 'transport'>): RankingCalls<P> {
  const { post } = methodsOf(transport);
  return {
    rank: (predictor, input, options = {}) =>
      post(`/v1/rankings/${encodeURIComponent(predictor)}`, callOf(options), input),
  };
}
