/** The types of rankings on the wire, as the client names them. */
import type { Answered, Sent } from '@tandem/transport/wire-types';
import type { RankingSchema, RankSchema } from './wire.ts';

export type Rank = Sent<typeof RankSchema>;
export type Ranking = Answered<typeof RankingSchema>;
