/**
 * The forms of bodies in the client's types, and the types of predictions and problems. A published package has no Zod: it carries the
 * types of each `wire-types.ts` written out (`scripts/packages/client-types.ts`).
 */
import type { PredictionSchema } from '@tandem/wire/predictions';
import type { ProblemCodeSchema, ProblemSchema } from '@tandem/wire/problem';
import type { Read, Schema, Sent as SentForm } from '@tandem/wire/schema';

/** A body of the wire: read-only, so that an application may pass frozen objects, and without `undefined`. */
type Body<T> = T extends object ? { readonly [K in keyof T]: Body<Exclude<T[K], undefined>> } : T;
export type Sent<S extends Schema> = Body<SentForm<S>>;
export type Answered<S extends Schema> = Body<Read<S>>;

export type Prediction = Answered<typeof PredictionSchema>;
export type Problem = Answered<typeof ProblemSchema>;
export type ProblemCode = Answered<typeof ProblemCodeSchema>;
