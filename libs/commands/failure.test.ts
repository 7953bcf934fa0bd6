import { TandemError } from '@tandem/freshness/errors';
import { LocalServerError } from '@tandem/local-servers/local-server-error';
import { ProblemError, UnreachableError } from '@tandem/transport/client-errors';
import { expect, test } from 'vitest';
import { CommandFailure, explainFailure, renderFailure } from './failure.ts';

const lines = (error: unknown) => renderFailure(explainFailure(error));

test('a problem of the API shows the place and the remedy', () => {
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

test('remedies of the API name no header, which a person at a terminal does not see', () => {
  const problem = { type: 'urn:tandem:problem:unavailable', title: 'no', status: 503, detail: 'Postgres is down.' };
  const remedy = 'retry after the time in Retry-After';
  expect(lines(new ProblemError({ ...problem, remedy }, 2))[1]).toBe('  retry after 2 s');
  expect(lines(new ProblemError({ ...problem, remedy }))[1]).toBe('  retry after a few seconds');
  expect(lines(new TandemError('overloaded', 'no', { retryAfter: 1, remedy }))[1]).toBe('  retry after 1 s');
  const key = { ...problem, type: 'urn:tandem:problem:unauthorized', field: 'Authorization', remedy: 'send Bearer' };
  expect(lines(new ProblemError(key))).toEqual([
    'tandem: Postgres is down.',
    '  set TANDEM_API_KEY to a valid key; tandem key create makes one',
  ]);
});

test('a place that the text contains is not repeated', () => {
  expect(lines(new TandemError('config_invalid', 'DATABASE_URL is not set', { field: 'DATABASE_URL' }))).toEqual([
    'tandem: DATABASE_URL is not set',
  ]);
});

test('an outage names the part that failed', () => {
  const cause = new Error('connect ECONNREFUSED 127.0.0.1:1');
  expect(lines(new TandemError('unavailable', 'The database does not answer at the moment.', { cause }))[0]).toBe(
    'tandem: The database does not answer at the moment: connect ECONNREFUSED 127.0.0.1:1',
  );
});

test('an outage keeps its remedy', () => {
  const text = 'an inference process could not be started: signal SIGSEGV';
  expect(lines(new TandemError('unavailable', text, { remedy: 'try again' }))).toEqual([
    `tandem: ${text}`,
    '  try again',
  ]);
});

test('a connection that Postgres rejects has a remedy', () => {
  const error = Object.assign(new Error('database "nodb" does not exist'), { code: '3D000' });
  expect(lines(error)).toEqual([
    'tandem: database "nodb" does not exist',
    '  create the database (createdb), or correct its name in DATABASE_URL',
  ]);
});

test('an outage caused by a rejection of a store shows that rejection', () => {
  const cause = Object.assign(new Error('database "nodb" does not exist'), { code: '3D000' });
  expect(lines(new TandemError('unavailable', 'The database does not answer at the moment.', { cause }))).toEqual([
    'tandem: database "nodb" does not exist',
    '  create the database (createdb), or correct its name in DATABASE_URL',
  ]);
});

test('an unknown certificate has a remedy that says how to name its CA', () => {
  const error = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  expect(lines(error)).toEqual(['tandem: self-signed certificate', expect.stringContaining('sslrootcert=')]);
});

test('a missing right in Postgres shows the command that names the grant', () => {
  const error = Object.assign(new Error('permission denied for function pg_control_system'), { code: '42501' });
  expect(lines(error)).toEqual([
    'tandem: permission denied for function pg_control_system',
    '  run `tandem doctor`, which names the grant; or use another user in DATABASE_URL (feature queries: FEATURES_DATABASE_URL)',
  ]);
});

test('the problem and the remedy of a local server are on separate lines', () => {
  expect(lines(new LocalServerError('port_taken', 'The port is taken.', 'Choose another.'))).toEqual([
    'tandem: The port is taken.',
    '  Choose another.',
  ]);
});

test('several refused addresses of one name are shown once each', () => {
  expect(lines(new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')], ''))).toEqual([
    'tandem: refused ::1; refused 127.0.0.1',
  ]);
});

test('a missing service and a slow one have different remedies', () => {
  expect(lines(new UnreachableError('http://x', false, 'nothing listens there'))[1]).toContain('tandem up');
  expect(lines(new UnreachableError('http://x', true, 'the deadline passed'))[1]).toContain('retry');
});

test('a CommandFailure keeps its exit code', () => {
  expect(explainFailure(new CommandFailure('no', { exitCode: 2, remedy: 'yes' }))).toMatchObject({ exitCode: 2 });
});
