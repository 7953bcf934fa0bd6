/** Path parameters that several endpoints have. */
import { z } from '@hono/zod-openapi';

export const predictorParameter = z
  .string()
  .meta({ param: { name: 'predictor', in: 'path' }, description: "The predictor's name", example: 'repurchase' });

export const userIdParameter = z.string().meta({
  param: { name: 'userId', in: 'path' },
  description: "The user id, in the canonical spelling of the key column's type",
  example: '42',
});

export const rolloutIdParameter = z
  .uuid()
  .meta({ param: { name: 'id', in: 'path' }, example: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2c22' });

export const runIdParameter = z
  .uuid()
  .meta({ param: { name: 'id', in: 'path' }, example: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11' });
