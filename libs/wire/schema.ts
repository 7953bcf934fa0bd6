/** The types of the bodies, parameters and headers that a schema describes. */
import type { z } from 'zod';

/** A schema of a body. */
export type Schema = z.ZodType;

/** A schema of parameters or headers by name. */
export type FieldsSchema = z.ZodObject;

/** A body as applications send it: they may leave out settings that have a default. */
export type Sent<S extends Schema> = z.input<S>;

/** A body as the service reads it: every setting has a value. */
export type Read<S extends Schema> = z.output<S>;

/** A body that the service answers. It is read-only, so that it may contain frozen objects of the stores. */
export type Answered<S extends Schema> = ReadOnly<z.output<S>>;

type ReadOnly<T> = T extends object ? { readonly [K in keyof T]: ReadOnly<T[K]> } : T;
