import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { endPrograms, type Program, startProgram } from '../../../../test/e2e/program.fixture.ts';
import { openGrpcClient } from './grpc-client.fixture.ts';

let database: TestDatabase;
let programs: Program[];
beforeEach(async () => {
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  programs = [];
});
afterEach(async () => {
  await endPrograms(programs);
  await database.drop();
});

/** Starts an API on any free port. */
function startApi(grpcPort: string, onLine?: (line: string) => void): Program {
  const environment = {
    ...{ DATABASE_URL: database.url, REDIS_URL: inject('redisUrl') },
    ...{ PORT: '0', GRPC_PORT: grpcPort },
  };
  const api = startProgram('api', environment, onLine && { onLine });
  programs.push(api);
  return api;
}

it('an API serves gRPC on a separate port, names the port if it is in use, and closes it at the end', async () => {
  const first = startApi('0');
  const [host, port = ''] = String((await first.logged('api.started')).grpc).split(':');
  expect(host).toBe('127.0.0.1');
  const client = openGrpcClient(Number(port));
  expect(await client.call('ServerLive', {})).toEqual({ live: true });
  const said: string[] = [];
  expect(await startApi(port, (line) => said.push(line)).ended).toBe(1);
  expect(said.join('\n')).toContain(`Port ${port} of 127.0.0.1 is in use; set GRPC_PORT to another port`);
  first.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  await expect(client.call('ServerLive', {}, {}, 2_000)).rejects.toMatchObject({ details: expect.any(String) });
  client.close();
});
