import { expect, test } from 'vitest';
import { createLog, type LogFields, type LogLevel, silentLog } from './log.ts';

/** Returns a log, and the lines that it writes. */
function written(options: { level?: LogLevel; pretty?: boolean } = {}) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  return { lines, log: createLog({ level: 'info', name: 'api', ...options, destination }) };
}

function fieldsOf(fields: LogFields): Record<string, unknown> {
  const { lines, log } = written();
  log.info('test.done', fields);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

test('a line is one JSON object with level, time, program and event', () => {
  const { lines, log } = written();
  log.warn('run.failed', { runId: 'r1', users: 3 });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    name: 'api',
    event: 'run.failed',
    runId: 'r1',
    users: 3,
  });
  expect(lines[0]?.endsWith('}\n')).toBe(true);
});

test('lines below the level are not written', () => {
  const { lines, log } = written({ level: 'warn' });
  log.debug('a.b');
  log.info('a.b');
  log.warn('a.b');
  log.error('a.b');
  expect(lines).toHaveLength(2);
  const untouched = {
    get x(): never {
      throw new Error('a field of a line below the level was read');
    },
  };
  log.info('a.b', { untouched });
});

test('a bound log adds its fields to every line', () => {
  const { lines, log } = written();
  log.with({ runId: 'r1' }).with({ chunk: 2 }).info('chunk.committed', { users: 5 });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ runId: 'r1', chunk: 2, users: 5 });
});

test('an error is written with its causes, codes and frames, in any field', () => {
  const root = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' });
  const error = new TypeError('no answer', { cause: new Error('store down', { cause: root }) });
  for (const name of ['error', 'err', 'why']) {
    expect(fieldsOf({ [name]: error })[name]).toMatchObject({
      type: 'TypeError',
      message: 'no answer',
      stack: expect.stringMatching(/^at /),
      cause: { message: 'store down', cause: { code: 'ECONNREFUSED', message: 'connection refused' } },
    });
  }
});

test('all errors of an AggregateError are written, and causes in a circle end', () => {
  const circular = new Error('a');
  circular.cause = circular;
  expect(JSON.stringify(fieldsOf({ error: circular }))).toContain('(');
  const several = new AggregateError([new Error('one'), new Error('two')], 'all failed');
  expect(fieldsOf({ error: several }).error).toMatchObject({ errors: [{ message: 'one' }, { message: 'two' }] });
});

test('secrets are masked at any depth: fields with secret names, passwords in URLs, credentials', () => {
  const line = JSON.stringify(
    fieldsOf({
      url: 'postgres://app:hunter2@db/shop',
      headers: { Authorization: 'Bearer hunter2', cookie: 'hunter2', 'x-api-key': 'hunter2' },
      text: 'sent Authorization: Basic hunter2aaaa to it',
      dsn: 'host=db password=hunter2 user=app',
      error: new Error('cannot reach redis://:hunter2@cache', { cause: new URL('https://u:hunter2@x/') }),
    }),
  );
  expect(line).not.toContain('hunter2');
  expect(line).toContain('postgres://app:***@db/shop');
});

test('an API key is masked everywhere, but its identifier is written', () => {
  const [id, secret] = ['0123456789abcdef', '5ec2e7'.repeat(11).slice(0, 64)];
  const key = `tandem_live_${id}_${secret}_89abcdef`;
  const cut = key.slice(0, 60);
  const line = JSON.stringify(
    fieldsOf({
      path: `/v1/predictions/p/${key}`,
      text: `no user ${key.toUpperCase()}, ${cut}`,
      error: new Error(`tandem_test_${key.slice(12)} is wrong`),
      apiKey: 'x5ec2e7',
      pepper: 'x5ec2e7',
    }),
  );
  expect(line.toLowerCase()).not.toContain('5ec2e7');
  expect(line).toContain(`/v1/predictions/p/tandem_live_${id}_***`);
});

test('a field cannot forge a line or steer a terminal', () => {
  const hostile = 'a\n{"level":"error"}\r\u001b[31m\u009b2J\u2028\u202e\u007f\0';
  for (const pretty of [false, true]) {
    const { lines, log } = written({ pretty });
    log.info('user.read', { userId: hostile, [hostile]: 1 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[^\p{Cc}\u2028\u202e]*\n$/u);
    if (!pretty) expect(JSON.parse(lines[0] ?? '').userId).toBe(hostile);
  }
});

test('a field with the name of a line’s own part does not replace that part', () => {
  expect(fieldsOf({ level: 'x', event: 'y', name: 'z' })).toMatchObject({
    level: 'info',
    level_: 'x',
    event: 'test.done',
    event_: 'y',
    name_: 'z',
  });
});

test('no value makes a line fail', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  let deep: unknown = 'end';
  for (let i = 0; i < 10_000; i++) deep = [deep];
  const fields = fieldsOf({
    cycle,
    deep,
    big: 10n ** 20n,
    nan: Number.NaN,
    bytes: Buffer.from('abc'),
    call: () => 1,
    map: new Map([['a', 1]]),
    date: new Date('2026-01-01T00:00:00Z'),
    long: 'x'.repeat(100_000),
  });
  expect(fields).toMatchObject({
    cycle: { self: '(cycle)' },
    big: '100000000000000000000',
    nan: 'NaN',
    bytes: '(3 bytes)',
    call: '(function)',
    map: { a: 1 },
    date: '2026-01-01T00:00:00.000Z',
  });
  expect(String(fields.long).length).toBeLessThan(9000);
});

test('the pretty form is one readable line', () => {
  const { lines, log } = written({ pretty: true });
  log.info('run.done', { users: 3, note: 'a "b"' });
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {2}api run\.done users=3 note="a \\"b\\""\n$/);
});

test('the silent log writes nothing and binds to itself', () => {
  silentLog.error('a.b', { x: 1 });
  expect(silentLog.with({ x: 1 })).toBe(silentLog);
});
