import { PROTOCOL } from '@tandem/freshness/protocol';
import type { LiveProcess } from '@tandem/prediction/processes/processes';
import { expect, test } from 'vitest';
import { judgeProcesses, judgeRoom } from './examine-fleet.ts';

const api: LiveProcess = {
  ...{ id: 'a', kind: 'api', host: 'one', pid: 7, release: '0.2.0', protocol: PROTOCOL },
  ...{ startedAt: new Date(0), seenAt: new Date(0), versions: [] },
};
const worker: LiveProcess = { ...api, kind: 'worker', pid: 8 };

test('processes are listed by kind, release and protocol number', () => {
  const many = [9, 10, 11, 12].map((pid): LiveProcess => ({ ...api, kind: 'embedded', host: 'shop', pid }));
  expect(judgeProcesses([api, { ...api, pid: 13 }, worker, ...many], PROTOCOL)).toEqual([
    {
      subject: 'api',
      level: 'ok',
      text: '2 API processes of release 0.2.0, freshness protocol 1 (process 7 on one, process 13 on one)',
    },
    { subject: 'worker', level: 'ok', text: '1 worker of release 0.2.0, freshness protocol 1 (process 8 on one)' },
    {
      subject: 'embedded',
      level: 'ok',
      text: '4 applications with an embedded reader of release 0.2.0, freshness protocol 1 (process 9 on shop, process 10 on shop, process 11 on shop, …)',
    },
  ]);
});

test('a process that does not know the number of the schema, or reports no number, is a warning', () => {
  const older: LiveProcess = { ...worker, release: '0.1.0', protocol: null };
  expect(judgeProcesses([older], 1)).toMatchObject([{ level: 'ok', text: expect.stringContaining('not reported') }]);
  const remedy = 'replace this release with the release that migrated the database, or with a newer release';
  expect(judgeProcesses([older, { ...older, pid: 9 }, api], 2)).toMatchObject([
    {
      subject: 'worker',
      level: 'warning',
      text: expect.stringMatching(/: the database follows protocol 2, so they take no work$/),
      remedy,
    },
    {
      subject: 'api',
      level: 'warning',
      text: expect.stringMatching(/: the database follows protocol 2, so it answers no read$/),
      remedy,
    },
  ]);
});

test('processes that know only a higher number than the schema wait for tandem migrate', () => {
  expect(judgeProcesses([{ ...worker, release: '0.3.0', protocol: 2 }], 1)).toMatchObject([
    { level: 'warning', remedy: 'tandem migrate, of release 0.3.0' },
  ]);
});

test('API processes without room beside the live workers are an error', () => {
  const room = { most: 97, others: 5, processes: 2, fleet: 44, besideApis: 20 };
  expect(judgeRoom(room, { processes: 3, connections: 24 })).toEqual({
    subject: 'fleet',
    level: 'ok',
    text: '2 live processes may open 44 of 97 connections',
  });
  expect(judgeRoom(room, { processes: 4, connections: 24 })).toMatchObject({
    level: 'error',
    text: '4 API processes (API_PROCESSES) may open 96 connections, workers and embedded readers 20, and other programs hold 5, but max_connections allows only 97',
  });
  expect(judgeRoom(room, { processes: 4, connections: null })).toMatchObject({ level: 'ok' });
  const one = { ...room, processes: 1, fleet: 100 };
  expect(judgeRoom(one, { processes: 1, connections: 24 }).text).toMatch(/: 1 live process may open 100 connections/);
});
