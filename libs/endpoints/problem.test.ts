import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from '@tandem/freshness/error-codes';
import { TandemError } from '@tandem/freshness/errors';
import type { ProblemCode as ClientCode } from '@tandem/transport/client-errors';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { PROBLEM_KINDS, problemResponse, toProblem } from './problem.ts';

describe('toProblem', () => {
  it('names the fault, the place and the fix, under a stable type', () => {
    const error = new TandemError('invalid_input', 'too many', { field: 'userIds', remedy: 'send fewer' });
    expect(toProblem(error, '/v1/predictions/p').problem).toEqual({
      type: 'urn:tandem:problem:invalid_input',
      title: 'Invalid input',
      status: 422,
      detail: 'too many',
      instance: '/v1/predictions/p',
      field: 'userIds',
      remedy: 'send fewer',
    });
  });

  it('shows neither an unexpected error nor a private detail', () => {
    const secret = 'postgres://tandem:secret@db';
    const unexpected = problemResponse(toProblem(new Error(secret)));
    expect(unexpected.status).toBe(500);
    const known = toProblem(new TandemError('unavailable', 'away', { detail: secret, cause: new Error(secret) }));
    expect(JSON.stringify([known, toProblem(new Error(secret))])).not.toContain('secret');
  });

  it('gives every 503 a Retry-After, rounded up to whole seconds', () => {
    expect(toProblem(new TandemError('overloaded', 'full')).headers).toEqual({ 'retry-after': '1' });
    expect(toProblem(new TandemError('unavailable', 'away', { retryAfter: 2.2 })).headers['retry-after']).toBe('3');
    expect(toProblem(new TandemError('unknown_user', 'who')).headers).toEqual({});
  });

  it('carries the headers of its status', async () => {
    const error = new TandemError('method_not_allowed', 'no', { headers: { allow: 'GET' } });
    const response = problemResponse(toProblem(error));
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('content-type')).toBe('application/problem+json');
  });

  it('gives a remedy that does not only point to the documentation', () => {
    const root = join(import.meta.dirname, '../..');
    const sources = globSync('{apps,libs}/**/*.ts', { cwd: root }).filter((path) => !/\.test\.ts$/.test(path));
    expect(sources.length).toBeGreaterThan(200);
    const empty = sources.flatMap((path) => {
      const texts = readFileSync(join(root, path), 'utf8').matchAll(
        /(['"`])((?:see|read|GET) [^'"`\n]*\/docs[^'"`\n]*)\1/g,
      );
      return [...texts].map(([, , text]) => `${path}: ${text}`);
    });
    expect(empty).toEqual([]);
  });

  it('has the same codes as the type in the client', () => {
    expectTypeOf<ClientCode>().toEqualTypeOf<ErrorCode>();
  });

  it('uses only statuses that the wire declares, and 500 for defects only', () => {
    const declared = new Set([400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 415, 422, 429, 431, 503, 504]);
    const others = Object.entries(PROBLEM_KINDS).filter(([, { status }]) => !declared.has(status));
    expect(others.map(([code]) => code)).toEqual(['internal_error']);
  });
});
