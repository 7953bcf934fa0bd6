/** Sends some requests of the fuzz test with a fixed seed. `npm run test:fuzz` sends ten thousand with another seed. */
import { rm } from 'node:fs/promises';
import { cloneDatabase, type TestDatabase } from '@tandem/testing/databases';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { makeFolder, ownRedis } from '../../e2e/servers.fixture.ts';
import { until } from '../../e2e/until.fixture.ts';
import { fetchDocument } from './fuzz/document.ts';
import { type FuzzReport, fuzz } from './fuzz/run.ts';
import { type HostileService, startService } from './service.ts';

const SEED = 20_261_203;
const REQUESTS = 1_500;

/**
 * Operations that a few random requests do not call successfully. A rollout moves only from certain states, and one is
 * active here. A rollback needs a second generation. An uploaded file must match its hash and be a model. An
 * explanation must have been kept. The corpus has requests for each of these operations.
 */
const OUT_OF_REACH: ReadonlySet<string> = new Set([
  ...['sendOutcomes', 'resumeRun', 'startRollout', 'advanceRollout', 'holdRollout', 'resumeRollout', 'promoteRollout'],
  ...['rollBack', 'abortRollout', 'endRollout', 'overrideArm', 'endArmOverride', 'showShadowReport'],
  ...['approveGeneration', 'pushModel', 'moveModelLabel', 'archiveModel', 'uploadArtifact', 'showArtifact'],
  ...['downloadArtifact', 'compareBuild', 'keepExplanation', 'showKeptExplanation', 'replayExplanation', 'rank'],
]);

let folder: string;
let database: TestDatabase;
let redis: Awaited<ReturnType<typeof ownRedis>>;
let service: HostileService;
let report: FuzzReport;
beforeAll(async () => {
  folder = await makeFolder();
  redis = await ownRedis(folder);
  database = await cloneDatabase(inject('databaseUrl'), inject('templateDatabase'));
  service = await startService({ databaseUrl: database.url, redisUrl: redis.url }, 'int8');
  report = await fuzz(service, { requests: REQUESTS, seed: SEED, reach: await withinReach(service.url) });
});
afterAll(async () => {
  await service.close();
  await database.drop();
  await redis.close();
  await rm(folder, { recursive: true, force: true });
});

describe('requests generated from the OpenAPI document', () => {
  it('are all answered as the document declares', () => {
    expect(report.sent).toBeGreaterThanOrEqual(REQUESTS);
    expect(report.findings).toEqual([]);
  });

  it('reach every operation, and each operation also answers with success', () => {
    expect(report.missed.filter((id) => !OUT_OF_REACH.has(id))).toEqual([]);
  });

  it('leave the service ready, without an error in its log', async () => {
    // On a busy machine a part may miss its deadline once.
    await until('the service is ready', async () => (await fetch(`${service.url}/readyz`)).status === 200);
    expect(service.api.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

async function withinReach(url: string): Promise<string[]> {
  const { operations } = await fetchDocument(url);
  return operations.map(({ operationId }) => operationId).filter((id) => !OUT_OF_REACH.has(id));
}
