/**
 * The types of a config's predictors, as `tandem types` writes them; and the types of calls and answers that follow.
 */
import type { Prediction } from './wire-types.ts';

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
      readonly outputs: Readonly<Record<string, Prediction['prediction'][string]>>;
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
interface TypedPrediction<N extends string, Outputs> extends Omit<Prediction, 'predictor' | 'prediction'> {
  readonly predictor: N;
  readonly prediction: Outputs;
}

export type PredictionOf<P extends PredictorsLike<P>, N extends PredictorName<P>> = TypedPrediction<N, P[N]['outputs']>;

/** A user with the request features of one call. */
export interface UserWithFeatures<Features = AnyPredictors[string]['request']> {
  readonly userId: string;
  readonly features: Features;
}
