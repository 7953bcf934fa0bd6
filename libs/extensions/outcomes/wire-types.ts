/** The types of outcomes on the wire, as the client names them. */
import type { Answered, Sent } from '@tandem/transport/wire-types';
import type { OutcomeResultsSchema, OutcomesBodySchema } from './wire.ts';

export type Outcome = Exclude<Sent<typeof OutcomesBodySchema>, { readonly outcomes: unknown }>;
export type OutcomeResult = Answered<typeof OutcomeResultsSchema>['results'][number];
