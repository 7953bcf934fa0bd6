/** Tests of the CLI with unexpected arguments. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Cli } from '@tandem/commands/command';
import { loadParts } from '@tandem/extension/load-parts';
import { afterEach, expect, test } from 'vitest';
import { EXTENSIONS } from './extensions.ts';
import { run } from './program.fixture.ts';
import { createProgram } from './program.ts';

let server: Server | undefined;
afterEach(() => void server?.close());

test('a misspelt command gets a suggestion, and exit code 2', async () => {
  const { code, err, out } = await run('pedict repurchase 42');
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain("unknown command 'pedict'");
  expect(err).toContain('Did you mean predict?');
});

test.each([
  ['nope', "tandem: unknown command 'nope'\n  see: tandem --help\n"],
  [
    'rollback p',
    "tandem: unknown command 'rollback'\n(Did you mean one of generation rollback, version rollback?)\n  see: tandem --help\n",
  ],
  ['cancel', "tandem: unknown command 'cancel'\n(Did you mean run cancel?)\n  see: tandem --help\n"],
  ['run strat', "tandem: unknown command 'strat'\n(Did you mean start?)\n  see: tandem run --help\n"],
])('the error for the unknown command `%s` says which help to read', async (args, said) => {
  expect(await run(args)).toEqual({ code: 2, out: '', err: said });
});

test.each([
  ['history rotate', 'reject context tokens and ignore overlay entries'],
  ['rollout start', 'shift of the scores over 20 classes of equal width'],
])('the help of `%s` says what it affects', async (name, text) => {
  expect((await run(`${name} --help`)).out.replace(/\s+/g, ' ')).toContain(text);
});

test('a misspelt option gets a suggestion and the help to read', async () => {
  const { code, err } = await run('predict repurchase 42 --no-cach');
  expect(code).toBe(2);
  expect(err).toContain('Did you mean --no-cache?');
  expect(err).toContain('tandem predict --help');
});

test.each([
  ['predict repurchase', "missing required argument 'userId'"],
  ['event send 42', "required option '--type <type>' not specified"],
  ['event send 42 --type a --data [1]', 'a JSON object is expected'],
  ['event send 42 --type a --data {"a":1e999}', 'a is not a finite number'],
  ['predict p 1 --max-age soon', 'a whole number from 0 on is expected'],
  ['predict p 1 --feature amount', 'Write name=value, such as amount=12.5.'],
  ['predict p 1 --feature a=1 --feature a=2', 'a occurs twice.'],
  ['predict p 1 --feature a=1 --min-context h.1', 'cannot be used with --feature'],
  ['up --port 70000', 'a port from 1 to 65535 is expected'],
  ['up --api-processes 0', 'a whole number from 1 to 64 is expected'],
  ['up --api-processes all', 'a whole number from 1 to 64 is expected'],
  ['run start p --scope some', 'Allowed choices are all, stale'],
  ['run start p --scope all --users 1', 'cannot be used with option'],
  ['init --model m.onnx --table t', "required option '--key <column>' not specified"],
  ['run list --limit 0', 'a whole number from 1 on is expected'],
])('`%s` is rejected with the expected form', async (args, message) => {
  const { code, err } = await run(args);
  expect(err).toContain(message);
  expect(code).toBe(2);
  expect(err).not.toMatch(/\n\s+at /);
});

test('every command has a description and an example in its help', async () => {
  const names = createProgram({} as Cli, await loadParts(EXTENSIONS, 'commands')).commands.flatMap((command) =>
    command.commands.length === 0
      ? [command.name()]
      : command.commands.map((child) => `${command.name()} ${child.name()}`),
  );
  expect(names.length).toBeGreaterThan(40);
  for (const name of names) {
    const { code, out, err } = await run(`${name} --help`);
    expect({ name, code, err }).toEqual({ name, code: 0, err: '' });
    expect(out, name).toMatch(/\nExample: .*tandem /);
    expect(out, name).toContain('--json');
  }
});

test('without a command, the help is shown', async () => {
  const { code, err, out } = await run('');
  expect(out + err).toContain('Usage: tandem');
  expect(code).toBe(2);
});

test('a missing service is reported in two lines: the address, and what to do', async () => {
  server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server?.close(resolve));
  const url = `http://127.0.0.1:${port}`;
  const { code, out, err } = await run('predict repurchase 42 --json', { env: { TANDEM_URL: url } });
  expect(code).toBe(1);
  expect(err.split('\n')).toEqual([
    `tandem: no answer from ${url}: nothing listens there`,
    '  start it with `tandem up`, or set its address with --url or TANDEM_URL',
    '',
  ]);
  expect(JSON.parse(out)).toEqual({ error: expect.objectContaining({ code: 'unreachable' }) });
});

test('an invalid address is a usage error that names its place', async () => {
  expect(await run('run list', { env: { TANDEM_URL: 'localhost' } })).toMatchObject({
    code: 2,
    err: expect.stringContaining('TANDEM_URL is not an address'),
  });
});

test('a rollback without a terminal for the confirmation is not made', async () => {
  const { code, err } = await run('generation rollback repurchase');
  expect(code).toBe(2);
  expect(err).toContain('--yes');
});

test('commands that need a database say how to configure one', async () => {
  for (const command of ['migrate', 'adopt', 'check', 'init --model m.onnx --table t --key id']) {
    const { code, err } = await run(command);
    expect(code, command).toBe(1);
    expect(err, command).toContain('DATABASE_URL');
  }
});

test('Ctrl-C ends a waiting command with exit code 130', async () => {
  server = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const controller = new AbortController();
  server.once('request', () => controller.abort(new Error('ended by SIGINT')));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ran = await run(`run list --url ${url}`, { signal: controller.signal });
  server.closeAllConnections();
  expect(ran).toEqual({ code: 130, out: '', err: '' });
});

test('request features are numbers, booleans or texts as in JSON, and texts need no quotes', async () => {
  const bodies: string[] = [];
  server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (part: string) => bodies.push(part));
    request.on('end', () => response.setHeader('content-type', 'application/json').end('{"results":[]}'));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const features =
    '--feature amount=12.5 --feature express=true --feature channel=app --feature code="42" --feature q=a=b';
  expect((await run(`predict checkout 1 2 ${features} --url ${url}`)).code).toBe(0);
  const sent = { amount: 12.5, express: true, channel: 'app', code: '42', q: 'a=b' };
  expect(JSON.parse(bodies.join(''))).toEqual({
    users: [
      { userId: '1', features: sent },
      { userId: '2', features: sent },
    ],
  });
});
