/** From nothing to answering: each step of `tandem up` in its order, and all of it taken down in reverse. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { sleepFor } from '@tandem/client/retry';
import { announceRunning } from '@tandem/local-servers/running-file';
import { openStateDir, type StateDir } from '@tandem/local-servers/state-dir';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { pepperId } from '@tandem/prediction/keys/api-key';
import { type Cli, present } from '../cli.ts';
import { CommandFailure } from '../failure.ts';
import { pepperOfUp } from '../keys/open-keys.ts';
import { asksForKeys } from '../keys/own-key.ts';
import { duration } from '../output/quantities.ts';
import { adoptStep } from './adopt-step.ts';
import { chooseAddress } from './choose-address.ts';
import { EXAMPLE_TO_TRY, loadExample } from './example.ts';
import { runFirstBatches } from './first-batch.ts';
import { endLeftovers } from './leftovers.ts';
import { renderNextSteps, renderServersSteps } from './next-steps.ts';
import { startPrograms } from './programs.ts';
import { startServers } from './start-servers.ts';
import { createSay, type Say } from './steps.ts';
import type { Supervised } from './supervise.ts';
import { createTakedown } from './takedown.ts';
import { orEnd, type UpContext, type UpOptions } from './up-context.ts';

/** Resolves when the user has ended it; rejects, everything taken down, when it cannot start or go on. */
export async function runUp(cli: Cli, options: UpOptions): Promise<void> {
  const say = createSay(cli, options);
  const stateDir = await openStateDir({ path: join(cli.cwd, '.tandem') });
  mkdirSync(join(stateDir.path, 'logs'), { recursive: true });
  const takedown = createTakedown((line) => say('stop', line));
  const takeBack = cli.whenForced(takedown.killAll);
  // Nothing else may be keeping this process alive: what it started stands apart.
  const alive = setInterval(() => undefined, 60_000);
  try {
    const context = createContext(cli, stateDir, say, takedown.add);
    await bringUp(context, options, takedown.add);
    await context.ended;
  } catch (error) {
    if (!cli.signal.aborted || error !== cli.signal.reason) throw error;
  } finally {
    if (!takedown.isEmpty()) say('stop', 'stopping everything in order; Ctrl-C again ends it at once');
    await takedown.stopAll();
    stateDir.release();
    clearInterval(alive);
    takeBack();
  }
  say('stop', 'stopped; the data stay in .tandem/, `npx tandem up` goes on with them');
}

async function bringUp(context: UpContext, options: UpOptions, onStop: (remove: RemoveLater) => void): Promise<void> {
  const { cli, stateDir, say } = context;
  const begin = cli.now();
  await endLeftovers(stateDir, (line) => say('left', line));
  const { port, url } = await chooseAddress(options.port, cli.env);
  cli.signal.throwIfAborted();
  const stores = await startServers(context);
  cli.signal.throwIfAborted();
  const applied = await orEnd(context, migrate(stores.databaseUrl));
  say('schema', applied.length === 0 ? 'up to date' : `migrated ${applied.join(', ')}`);
  const announce = (idOfPepper: string | null) => {
    const services = { apiUrl: url, ...stores.local, pepperId: idOfPepper };
    const remove = announceRunning(stateDir.path, services);
    onStop({ name: 'announcement', stop: async () => remove(), kill: remove });
  };
  if (options.servers) {
    announce(null);
    const { databaseUrl } = stores.local;
    present(cli, options, { ...stores.local, pid: process.pid }, () => renderServersSteps(databaseUrl, cli.paint));
    return;
  }
  if (options.example) await orEnd(context, loadExample(context, stores.databaseUrl));
  const adopted = await orEnd(
    context,
    adoptStep(context, { url: stores.databaseUrl, featuresUrl: stores.featuresUrl }, options),
  );
  const predictors = adopted.predictors.map(({ predictor }) => predictor);
  await startPrograms(context, { ...stores, port, url });
  announce(pepperId(pepperOfUp(cli, stateDir.path)));
  const asks = await orEnd(context, asksForKeys(url));
  const keys = asks ? 'required' : 'off';
  say('ready', `${url} after ${duration(cli.now() - begin)}${asks ? ', asks for API keys' : ''}`);
  await orEnd(context, runFirstBatches(context, { url, databaseUrl: stores.databaseUrl }, predictors));
  present(cli, options, { url, predictors, keys, pid: process.pid, logs: join(stateDir.path, 'logs') }, () =>
    renderNextSteps({
      url,
      asksForKeys: asks,
      hasOwnPepper: Boolean(cli.env.API_KEY_PEPPER || cli.env.API_KEY_PEPPER_FILE),
      toTry: options.example ? EXAMPLE_TO_TRY : adopted.toTry,
      example: options.example === true,
      databaseUrl: stores.local.databaseUrl,
      paint: cli.paint,
    }),
  );
}

type RemoveLater = { name: string; stop(): Promise<void>; kill(): void };

function createContext(cli: Cli, stateDir: StateDir, say: Say, add: (supervised: Supervised) => void): UpContext {
  const { promise: ended, reject: end } = Promise.withResolvers<never>();
  // Somebody may be between two steps when it comes.
  ended.catch(() => undefined);
  if (cli.signal.aborted) end(cli.signal.reason);
  cli.signal.addEventListener('abort', () => end(cli.signal.reason), { once: true });
  return {
    cli,
    stateDir,
    say,
    supervision: { now: cli.now, sleep: (ms) => sleepFor(ms, undefined) },
    keep: (supervised) => {
      add(supervised);
      void supervised.givenUp.then((reason) => end(new CommandFailure(reason)));
    },
    ended,
  };
}
