/**
 * `npm run test:overload` sends a service on one core many more requests than it can answer. Postgres, Redis and the
 * generator have the other core. Exits with 1 if a goal is missed.
 *
 *   --only name[,name]   saturation, cached, held, pipelined, herd, memory, files
 *   --seconds N          the seconds of the saturation (60)
 *   --factor N           the load as a multiple of the capacity (10)
 *   --row-ms N           the time of the model for one user, in ms (5)
 *   --live-timeout-ms N  the predictor's liveTimeout (500)
 */
import { parseArgs } from 'node:util';
import { type Context, scenarios } from './scenarios.ts';
import { createWorld } from './world.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '60' },
    factor: { type: 'string', default: '10' },
    'row-ms': { type: 'string', default: '5' },
    'live-timeout-ms': { type: 'string', default: '500' },
  },
});
const names = values.only.split(',').filter(Boolean);
const USERS = 20_000;

const say = (line: string) => void process.stdout.write(`${line}\n`);
const liveTimeoutMs = Number(values['live-timeout-ms']);
const world = await createWorld({ users: USERS, rowMs: Number(values['row-ms']), liveTimeoutMs }, say);
try {
  const chosen = scenarios.filter(({ name }) => names.length === 0 || names.includes(name));
  const context: Context = {
    world,
    users: USERS,
    liveTimeoutMs,
    seconds: Number(values.seconds),
    factor: Number(values.factor),
    say,
  };
  for (const { name, run } of chosen) {
    say(`\n${name}`);
    for (const { what, seen, isMet } of await run(context)) {
      say(`  ${isMet ? 'met   ' : 'MISSED'} ${what}: ${seen}`);
      if (!isMet) process.exitCode = 1;
    }
  }
} finally {
  await world.close();
}
