import { expect, it } from 'vitest';
import { createLeakFinder } from './leaks.ts';

const { inLog, inBody } = createLeakFinder(['s3cret-pass']);

it.each([
  'connecting as s3cret-pass',
  'postgres://tandem:hunter2@127.0.0.1:5432/tandem',
  '(node:1) UnhandledPromiseRejectionWarning',
  '{"event":"unhandledRejection"}',
  'Uncaught Exception: no',
])('finds %s', (line) => {
  expect(inLog(line)).not.toBeNull();
  expect(inBody(line)).not.toBeNull();
  expect(inLog(line)).not.toContain('hunter2');
});

it('allows a stack in a log line of a warning or an error, but not in other lines, in a body or alone', () => {
  const frames = `"error":{"stack":${JSON.stringify('at read (file:///app/read.ts:3:7)')}}}`;
  const stack = `{"level":"error",${frames}`;
  expect(inLog(`{"level":"warn",${frames}`)).toBeNull();
  expect(inLog(`{"level":"info",${frames}`)).toMatch(/^a stack trace/);
  const text = 'Error: no\n    at read (file:///app/read.ts:3:7)';
  expect(inLog(stack)).toBeNull();
  expect(inBody(stack)).toMatch(/^a stack trace/);
  expect(inBody(text)).toMatch(/^a stack trace/);
  expect(inLog('    at read (file:///app/read.ts:3:7)')).toMatch(/^a stack trace/);
});

it('accepts masked passwords and texts without secrets', () => {
  expect(inLog('postgres://tandem:***@127.0.0.1:5432/tandem')).toBeNull();
  expect(inLog('GET http://127.0.0.1:8080/v1/users/a@b')).toBeNull();
  expect(inBody('{"title":"Unavailable","detail":"The database does not answer at the moment."}')).toBeNull();
});
