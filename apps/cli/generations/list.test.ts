/** Tests the list of generations, with a service on a real socket. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GENERATION_REPORT_EXAMPLE } from '@tandem/wire/generation-report';
import { GENERATION_EXAMPLE } from '@tandem/wire/generations';
import { RUN_EXAMPLE } from '@tandem/wire/runs';
import { afterEach, expect, test } from 'vitest';
import { run } from '../program.fixture.ts';

let server: Server | undefined;
afterEach(closeServer);

function closeServer(): void {
  server?.closeAllConnections();
  server?.close();
}

const MISSING_SCOPE = { type: 'urn:tandem:problem:missing_scope', title: 'no', status: 403 };
const building = { ...GENERATION_EXAMPLE, state: 'building', users: 0, inForce: false, publishedAt: null };

/**
 * Returns what the command prints if the service answers a request for the run of the generation like this. An error is
 * the answer to each request but the first.
 * @param listed the only generation
 */
async function listWith(
  status: number,
  answer: object,
  listed: object = building,
  command = 'generation list repurchase',
): Promise<string> {
  closeServer();
  const calls: unknown[] = [];
  server = createServer(({ url }, response) => {
    const isRun = url === `/v1/runs/${building.runId}` || (status !== 200 && calls.length > 0);
    calls.push(url);
    const type = isRun && status !== 200 ? 'application/problem+json' : 'application/json';
    response.writeHead(isRun ? status : 200, { 'content-type': type });
    const report = { ...GENERATION_REPORT_EXAMPLE, generation: building.generation };
    response.end(JSON.stringify(isRun ? answer : url?.endsWith('/report') ? report : { generations: [listed] }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const env = { TANDEM_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  const { code, out, err } = await run(command, { env });
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

test('a generation whose run failed is not shown as being built', async () => {
  const ofRun = { ...RUN_EXAMPLE, id: building.runId };
  expect(await listWith(200, { ...ofRun, state: 'failed' })).toMatch(/^ +17 {2}building \(run failed\) {2}/m);
  expect(await listWith(200, { ...ofRun, state: 'running' })).toMatch(/^ +17 {2}building {2}/m);
});

test('a generation that was held back is shown with its users and the command that approves it', async () => {
  const ofRun = { ...RUN_EXAMPLE, id: building.runId, state: 'failed', usersScored: 2356 };
  const held = { ...building, state: 'held_back' };
  const out = await listWith(200, ofRun, held);
  expect(out).toMatch(/^ +17 {2}held back +2 +2,356 /m);
  expect(out).toContain('generation 17 was held back; publish it: tandem generation approve repurchase 17\n');
  const approvalRefused = 'the newer generation 18 is current';
  const refused = await listWith(200, ofRun, { ...held, approvalRefused });
  expect(refused).toContain(`generation 17 was held back and cannot be published: ${approvalRefused}\n`);
  expect(refused).not.toContain('generation approve');
});

test('a report proposes the approval only while it is possible', async () => {
  const reportOf = (listed: object) =>
    listWith(200, RUN_EXAMPLE, { ...building, ...listed }, 'generation report repurchase');
  const proposal = 'publish it: tandem generation approve repurchase 17';
  expect(await reportOf({ state: 'held_back' })).toContain(proposal);
  expect(await reportOf({ state: 'published' })).not.toContain(proposal);
  expect(await reportOf({ state: 'held_back', approvalRefused: 'late' })).toMatch(/cannot be published: late\n$/);
});

test('a report is printed even if the list, which only adds a hint, is refused', async () => {
  const out = await listWith(403, MISSING_SCOPE, building, 'generation report repurchase');
  expect(out).toMatch(/^repurchase: generation 17, .*: held back\n/);
  expect(out).not.toContain('generation approve');
});

test('a key that may not read runs lists the generations', async () => {
  expect(await listWith(403, MISSING_SCOPE)).toMatch(/^ +17 {2}building {2}/m);
});
