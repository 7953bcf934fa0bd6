/**
 * The types of a config's predictors, as `tandem types` writes them; and the types of calls and answers that follow.
 */
import type { PredictionAnswer, PredictionValue } from './wire.ts';
import type { Rank, Ranking } from './wire-types.ts';

/** The outputs of a predictor and the request features that its calls send; null if it has none. */
export interface PredictorTypes {
  readonly outputs: object;
  readonly request: object | null;
}

/** The constraint on the type argument of `createClient`: an interface or a type with predictors by name. */
export type PredictorsLike<P> = { readonly [N in keyof P]: PredictorTypes };

/** The predictors of a client without a type argument: any name, any output, any request feature. */
export type AnyPredictors = Readonly<
  Record<
    string,
    {
      readonly outputs: Readonly<Record<string, PredictionValue>>;
      readonly request: Readonly<Record<string, number | string | boolean>>;
    }
  >
>;

export type PredictorName<P> = keyof P & string;

/** The names of the predictors with request features. */
export type RequestPredictorName<P extends PredictorsLike<P>> = {
  [N in PredictorName<P>]: P[N]['request'] extends null ? never : N;
}[PredictorName<P>];

/** A prediction with the predictor's own outputs. */
export interface TypedPrediction<N extends string, Outputs> extends Omit<PredictionAnswer, 'predictor' | 'prediction'> {
  readonly predictor: N;
  readonly prediction: Outputs;
}

export type PredictionOf<P extends PredictorsLike<P>, N extends PredictorName<P>> = TypedPrediction<N, P[N]['outputs']>;

/** A user with the request features of one call. */
export interface UserWithFeatures<Features = AnyPredictors[string]['request']> {
  readonly userId: string;
  readonly features: Features;
}

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
