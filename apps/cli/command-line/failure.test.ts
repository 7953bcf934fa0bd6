import { ProblemError, UnreachableError } from '@tandem/client/client-errors';
import { TandemError } from '@tandem/freshness/errors';
import { LocalServerError } from '@tandem/local-servers/local-server-error';
import { expect, test } from 'vitest';
import { CommandFailure, explainFailure, renderFailure } from './failure.ts';

const lines = (error: unknown) => renderFailure(explainFailure(error));

test('a problem of the API names where and the remedy', () => {
  const error = new ProblemError({
    type: 'urn:tandem:problem:invalid_input',
    title: 'Invalid input',
    status: 422,
    detail: 'a user id is a whole number',
    field: 'userIds[1]',
    remedy: 'send 43',
  });
  expect(lines(error)).toEqual(['tandem: a user id is a whole number (userIds[1])', '  send 43']);
  expect(explainFailure(error)).toMatchObject({ code: 'invalid_input', exitCode: 1 });
});

test('a place that the text names already is not repeated', () => {
  expect(lines(new TandemError('config_invalid', 'DATABASE_URL is not set', { field: 'DATABASE_URL' }))).toEqual([
    'tandem: DATABASE_URL is not set',
  ]);
});

test('an outage names the failed part', () => {
  const cause = new Error('connect ECONNREFUSED 127.0.0.1:1');
  expect(lines(new TandemError('unavailable', 'The database does not answer at the moment.', { cause }))[0]).toBe(
    'tandem: The database does not answer at the moment: connect ECONNREFUSED 127.0.0.1:1',
  );
});

test('an outage with a remedy of its own keeps it', () => {
  const text = 'an inference process could not be started: signal SIGSEGV';
  expect(lines(new TandemError('unavailable', text, { remedy: 'try again' }))).toEqual([
    `tandem: ${text}`,
    '  try again',
  ]);
});

test('what Postgres refuses a connection for has its remedy', () => {
  const error = Object.assign(new Error('database "nodb" does not exist'), { code: '3D000' });
  expect(lines(error)).toEqual([
    'tandem: database "nodb" does not exist',
    '  create the database (createdb), or correct its name in DATABASE_URL',
  ]);
});

test('an outage that a store’s refusal is behind is told as that refusal', () => {
  const cause = Object.assign(new Error('database "nodb" does not exist'), { code: '3D000' });
  expect(lines(new TandemError('unavailable', 'The database does not answer at the moment.', { cause }))).toEqual([
    'tandem: database "nodb" does not exist',
    '  create the database (createdb), or correct its name in DATABASE_URL',
  ]);
});

test('a certificate that is not known has the ways to name its CA', () => {
  const error = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  expect(lines(error)).toEqual(['tandem: self-signed certificate', expect.stringContaining('sslrootcert=')]);
});

test('a right that Postgres refuses is told with the command that names the grant', () => {
  const error = Object.assign(new Error('permission denied for function pg_control_system'), { code: '42501' });
  expect(lines(error)).toEqual([
    'tandem: permission denied for function pg_control_system',
    '  run `tandem doctor`, which names the grant; or use another user in DATABASE_URL (feature queries: FEATURES_DATABASE_URL)',
  ]);
});

test('a local server’s problem and remedy stand on lines of their own', () => {
  expect(lines(new LocalServerError('port_taken', 'The port is taken.', 'Choose another.'))).toEqual([
    'tandem: The port is taken.',
    '  Choose another.',
  ]);
});

test('several refused addresses of one name are told once each', () => {
  expect(lines(new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')], ''))).toEqual([
    'tandem: refused ::1; refused 127.0.0.1',
  ]);
});

test('a missing service and a slow one have different remedies', () => {
  expect(lines(new UnreachableError('http://x', false, 'nothing listens there'))[1]).toContain('tandem up');
  expect(lines(new UnreachableError('http://x', true, 'the deadline passed'))[1]).toContain('try again');
});

test('a command’s own failure carries its exit code', () => {
  expect(explainFailure(new CommandFailure('no', { exitCode: 2, remedy: 'yes' }))).toMatchObject({ exitCode: 2 });
});
