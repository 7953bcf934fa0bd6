import { expect, it } from 'vitest';
import { countWarnings } from './counted-log.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics.ts';

it('counts warnings and errors by event, with and without bound fields, and still writes them', async () => {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  const metrics = createMetrics({ app: 'api', processMetrics: false });
  const log = countWarnings(createLog({ level: 'error', name: 'api', destination }), metrics);
  log.debug('a.looked');
  log.info('a.done');
  log.warn('a.late', { seconds: 2 });
  log.with({ runId: 'r1' }).error('a.failed', { no: 3 });
  log.with({ runId: 'r2' }).error('a.failed');
  expect(lines).toMatchObject([
    { event: 'a.failed', runId: 'r1', no: 3 },
    { event: 'a.failed', runId: 'r2' },
  ]);
  const counted = (await metrics.exposition())
    .split('\n')
    .filter((line) => line.startsWith('tandem_log_warnings_total'));
  expect(counted).toEqual([
    'tandem_log_warnings_total{level="warn",event="a.late",app="api"} 1',
    'tandem_log_warnings_total{level="error",event="a.failed",app="api"} 2',
  ]);
});
