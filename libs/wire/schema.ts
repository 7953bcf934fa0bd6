/** What the schemas of this folder are to the code that reads and checks bodies. */
import type { z } from 'zod';

/** A schema of a body. */
export type Schema = z.ZodType;

/** What may be sent: settings with a default may be left out. */
export type Sent<S extends Schema> = z.input<S>;

/** What the service reads: every setting has its value. */
export type Read<S extends Schema> = z.output<S>;
