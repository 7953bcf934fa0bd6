/**
 * `npm run test:overload` sends a service on one core many more requests than it can answer. Postgres, Redis and the
 * generator have the other core. Exits with 1 if a goal is missed.
 */
import { anyNumber, namedIn, readCommandLine, wholeNumber } from '../command-line.ts';
import { type Context, scenarios } from './scenarios.ts';
import { createWorld } from './world.ts';

const HELP = `npm run test:overload -- [options]
  --only <names>         of ${scenarios.map(({ name }) => name).join(', ')} (default: all)
  --seconds 60           the seconds of the saturation
  --factor 10            the load as a multiple of the capacity
  --row-ms 5             the time of the model for one user, in ms
  --live-timeout-ms 500  the predictor's liveTimeout
`;

const OPTIONS = {
  only: { type: 'string' },
  seconds: { type: 'string', default: '60' },
  factor: { type: 'string', default: '10' },
  'row-ms': { type: 'string', default: '5' },
  'live-timeout-ms': { type: 'string', default: '500' },
} as const;

const USERS = 20_000;

const { chosen, rowMs, liveTimeoutMs, ...load } = readCommandLine(HELP, OPTIONS, (values) => ({
  chosen: values.only === undefined ? scenarios : namedIn('only', values.only, scenarios),
  seconds: anyNumber('seconds', values.seconds, 1, 86_400),
  factor: anyNumber('factor', values.factor, 1, 1_000),
  rowMs: anyNumber('row-ms', values['row-ms'], 0, 10_000),
  liveTimeoutMs: wholeNumber('live-timeout-ms', values['live-timeout-ms'], 10, 60_000),
}));

const say = (line: string) => void process.stdout.write(`${line}\n`);
const world = await createWorld({ users: USERS, rowMs, liveTimeoutMs }, say);
try {
  const context: Context = { world, users: USERS, liveTimeoutMs, ...load, say };
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
