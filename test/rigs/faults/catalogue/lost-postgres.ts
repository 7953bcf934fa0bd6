/** Faults in which Postgres stops and returns. Until it returns, no answer is fresh and no event is acknowledged. */
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../../e2e/until.fixture.ts';
import type { Stage } from '../rig/session.ts';
import type { NamedFault } from './fault.ts';

export const lostPostgres: readonly NamedFault[] = [
  {
    name: 'postgres-immediate-restart',
    what: 'pg_ctl stop -m immediate and a start, three times',
    expected:
      'during the fault, reads are unverified or rejected; the service recovers within seconds after Postgres is ready',
    async run(stage) {
      for (let i = 0; i < 3; i++) {
        await restart(stage);
        await pause(3_000);
      }
    },
  },
  {
    name: 'postgres-cut-off',
    what: 'no API reaches Postgres for 10 s: a black hole',
    expected: 'no answer is called fresh; reads are still answered within their deadline',
    run: ({ rig, fault }) => {
      const proxies = rig.proxies('postgres', rig.apis);
      return fault(
        { name: 'APIs cut off from Postgres', cutsPostgres: true },
        {
          inject: async () => {
            for (const proxy of proxies) proxy.add({ type: 'timeout', timeout: 0 });
          },
          hold: () => pause(10_000),
          lift: async () => {
            for (const proxy of proxies) await proxy.heal();
          },
        },
      );
    },
  },
];

function restart({ rig, fault }: Stage): Promise<void> {
  return fault(
    { name: 'Postgres stopped at once', cutsPostgres: true },
    {
      inject: () => rig.postgres.end('SIGQUIT'),
      hold: () => pause(500),
      lift: async () => {
        await rig.postgres.start();
        await until('Postgres answers the application', () => rig.pool.query('select 1'));
      },
    },
  );
}
