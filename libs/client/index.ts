/** The entry point `@tandem/client` of the package. */

export type { RankInput, RankingOf, RankOptions } from '@tandem/rankings/client';
export {
  type AnyCode,
  isProblem,
  type Problem,
  type ProblemCode,
  ProblemError,
  UnreachableError,
} from '@tandem/transport/client-errors';
export type { PredictionOf, UserWithFeatures } from '@tandem/transport/predictor-types';
export type { SendOptions } from '@tandem/transport/send-entries';
export type { CallOptions } from '@tandem/transport/transport';
export { type Client, type ClientOptions, createClient } from './create-client.ts';
export type {
  Answered,
  ManyResult,
  NotModified,
  PredictManyOptions,
  PredictOptions,
} from './predictions.ts';
export type { ContextTokens, Session } from './session.ts';
export type { EventInput, EventResult, OutcomeInput, OutcomeResult, PredictionAnswer, Run } from './wire.ts';
