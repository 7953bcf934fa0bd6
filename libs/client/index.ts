/** The entry point `@tandem/client` of the package. */
export {
  type AnyCode,
  isProblem,
  type Problem,
  type ProblemCode,
  ProblemError,
  UnreachableError,
} from '@tandem/transport/client-errors';
export type { SendOptions } from '@tandem/transport/send-entries';
export type { CallOptions } from '@tandem/transport/transport';
export { type Client, type ClientOptions, createClient } from './create-client.ts';
export type {
  Answered,
  ManyResult,
  NotModified,
  PredictManyOptions,
  PredictOptions,
  RankOptions,
} from './predictions.ts';
export type { PredictionOf, RankInput, RankingOf, UserWithFeatures } from './predictor-types.ts';
export type { ContextTokens, Session } from './session.ts';
export type { EventInput, EventResult, OutcomeInput, OutcomeResult, PredictionAnswer, Run } from './wire.ts';
