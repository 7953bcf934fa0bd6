/** Tests the list of changes, with a service on a real socket. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { run } from './program.fixture.ts';

/** Returns what the command prints if the service has no row. */
async function listNothing(args: string): Promise<string> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ rows: [], next: null }));
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const { code, out, err } = await run(`audit list ${args} --url http://127.0.0.1:${port}`);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

test('an empty list names the predictor that was asked for, which may be misspelled', async () => {
  expect(await listNothing('')).toBe('nothing was changed yet\n');
  expect(await listNothing('--predictor nn')).toBe(
    'no change of a predictor nn is recorded; tandem model list shows the predictors\n',
  );
});
