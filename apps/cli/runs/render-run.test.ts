import type { Run } from '@tandem/client/wire';
import { plain } from '@tandem/commands/command';
import { expect, test } from 'vitest';
import { renderRun } from './render-run.ts';

const run: Run = {
  id: '0198c0de-5d3a-7c9b-8e21-3f0a5b6c7d8e',
  predictor: 'repurchase',
  scope: 'all',
  state: 'planned',
  budget: null,
  reason: 'cli',
  error: null,
  attempts: 1,
  attemptError: null,
  modelVersion: '2',
  generation: null,
  usersExpected: 0,
  usersScored: 0,
  usersFailed: 0,
  chunkCount: 0,
  chunksCommitted: 0,
  scheduledFor: null,
  createdAt: '2026-11-24T02:00:00.000Z',
  startedAt: null,
  finishedAt: null,
};
const rendered = (changes: Partial<Run>) =>
  renderRun({ ...run, ...changes }, plain, Date.parse(run.createdAt)).join('\n');

test('a first attempt in progress is not mentioned', () => {
  expect(rendered({})).not.toContain('attempts');
});

test('attempts at a step are shown, with the reason of the last failure', () => {
  expect(rendered({ attempts: 3, attemptError: 'The database does not answer.' })).toMatch(
    /attempts +3; the last failed: The database does not answer\./,
  );
});
