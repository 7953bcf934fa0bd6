/** The entry point `@tandem/client` of the package. */
export {
  type AnyCode,
  isProblem,
  type Problem,
  type ProblemCode,
  ProblemError,
  UnreachableError,
} from './client-errors.ts';
export { type Client, type ClientOptions, createClient } from './create-client.ts';
export type { SendOptions } from './events.ts';
export type {
  Answered,
  CallOptions,
  ManyResult,
  NotModified,
  PredictManyOptions,
  PredictOptions,
  RankOptions,
} from './predictions.ts';
export type { PredictionOf, RankInput, RankingOf, UserWithFeatures } from './predictor-types.ts';
export type { ContextTokens, Session } from './session.ts';
export type { EventInput, EventResult, OutcomeInput, OutcomeResult, PredictionAnswer, Run } from './wire.ts';
