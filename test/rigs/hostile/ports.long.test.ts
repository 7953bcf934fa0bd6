/**
 * Sends the corpus and generated requests to every port other than the API's port. No request may end a process.
 * requests.e2e.test.ts sends the corpus to the API's port in `npm test`.
 */
import { rm } from 'node:fs/promises';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { makeFolder, ownRedis } from '../../e2e/servers.fixture.ts';
import { type HostileRequest, readCorpus } from './corpus.ts';
import { fuzzPort } from './fuzz/other-ports.ts';
import { type OtherPorts, type Port, startOtherPorts } from './ports.ts';
import { aliveFaults, probe } from './probe.ts';

const FUZZED = { numRuns: 150, seed: 20_261_128 };
const NAMES = ['API metrics', 'worker health'] as const;

const corpus = readCorpus();
const isSlow = ({ name }: HostileRequest) => name.startsWith('slow/');

let folder: string;
let database: TestDatabase;
let redis: Awaited<ReturnType<typeof ownRedis>>;
let others: OtherPorts;
beforeAll(async () => {
  folder = await makeFolder();
  redis = await ownRedis(folder);
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  others = await startOtherPorts({ databaseUrl: database.url, redisUrl: redis.url });
});
afterAll(async () => {
  await others?.close();
  await database?.drop();
  await redis?.close();
  await rm(folder, { recursive: true, force: true });
});

function portOf(name: Port['name']): Port {
  const port = others.ports.find((one) => one.name === name);
  if (!port) throw new Error(`no port is called ${name}`);
  return port;
}

/** All ports are tested at once, because the test mostly waits. */
it('each port ends slow requests, and keeps serving', async () => {
  const probed = others.ports.flatMap((port) =>
    corpus.filter(isSlow).map(async (request) => [port.name, request.name, await probe(request, port)] as const),
  );
  const found = await Promise.all(probed);
  expect(found.filter(([, , faults]) => faults.length > 0)).toEqual([]);
  expect((await Promise.all(others.ports.map(aliveFaults))).flat()).toEqual([]);
});

describe.each(NAMES)('%s port', (name) => {
  it('answers every request of the corpus, and keeps serving', async () => {
    const port = portOf(name);
    const found: string[] = [];
    for (const request of corpus.filter((one) => !isSlow(one))) {
      const faults = [...(await probe(request, port)), ...(await aliveFaults(port))];
      found.push(...faults.map((fault) => `${request.name}: ${fault}`));
      if (port.program.hasEnded()) break;
    }
    expect(found).toEqual([]);
  });

  it('answers requests generated from the OpenAPI document, and keeps serving', async () => {
    expect(await fuzzPort(portOf(name), others, FUZZED)).toEqual([]);
  });

  it('logs no error from these requests', () => {
    expect(portOf(name).program.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
