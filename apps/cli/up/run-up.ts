/** Runs each step of `tandem up` in order, and stops everything in reverse order. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Cli, present } from '@tandem/commands/command';
import { localUrl, modelMemoryMb, withDatabases } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import { counted, duration } from '@tandem/commands/output/text';
import { readEnvironment } from '@tandem/config/environment/environment';
import { apiProcesses as environmentProcesses, http } from '@tandem/config/environment/environment-sections';
import { findFreePort, isPortFree } from '@tandem/local-servers/ports';
import { runCommand } from '@tandem/local-servers/run-command';
import { announceRunning } from '@tandem/local-servers/running-file';
import { openStateDir, type StateDir } from '@tandem/local-servers/state-dir';
import { migrate } from '@tandem/offline-store/sql/migrate';
import { pepperId } from '@tandem/prediction/keys/api-key';
import type { Supervised } from '@tandem/timing/supervise';
import { sleepFor } from '@tandem/transport/retry';
import { type AdoptedConfig, adoptConfig, renderAdoption } from '../adopt/adopt-config.ts';
import { findPortHolder } from '../doctor/port-holder.ts';
import { pepperOfUp } from '../keys/open-keys.ts';
import { asksForKeys } from '../keys/own-key.ts';
import type { UpOptions } from './commands.ts';
import { runFirstBatches } from './first-batch.ts';
import { renderNextSteps, renderServersSteps } from './next-steps.ts';
import { endLeftovers } from './node-process.ts';
import { startPrograms } from './programs.ts';
import { type Stores, startServers } from './start-servers.ts';
import { createTakedown, type Stoppable } from './takedown.ts';
import { createSay, orEnd, type Say, type UpContext } from './up-context.ts';

/** Runs until the user ends it. If it cannot start or continue, stops everything and rejects. */
export async function runUp(cli: Cli, options: UpOptions): Promise<void> {
  const say = createSay(cli, options);
  const stateDir = await openStateDir({ path: join(cli.cwd, '.tandem') });
  mkdirSync(join(stateDir.path, 'logs'), { recursive: true });
  const takedown = createTakedown((line) => say('stop', line));
  const takeBack = cli.whenForced(takedown.killAll);
  // Keeps this process alive: the processes that it started are separate and may not.
  const alive = setInterval(() => undefined, 60_000);
  try {
    const context = createContext(cli, stateDir, say, takedown.add);
    await bringUp(context, options, takedown.add);
    await context.ended;
  } catch (error) {
    if (!cli.signal.aborted || error !== cli.signal.reason) throw error;
  } finally {
    if (!takedown.isEmpty()) say('stop', 'stopping all processes in order; Ctrl-C again ends them at once');
    await takedown.stopAll();
    stateDir.release();
    clearInterval(alive);
    takeBack();
  }
  const again = options.example ? 'npx tandem up --example' : 'npx tandem up';
  say('stop', `stopped; the data are kept in .tandem/, and \`${again}\` starts again with them`);
}

async function bringUp(context: UpContext, options: UpOptions, onStop: (remove: Stoppable) => void): Promise<void> {
  const { cli, stateDir, say } = context;
  const begin = cli.now();
  await endLeftovers(stateDir, (line) => say('left', line));
  const { port, url, isFree } = await chooseAddress(options, cli.env);
  cli.signal.throwIfAborted();
  const stores = await startServers(context);
  cli.signal.throwIfAborted();
  const applied = await orEnd(context, migrate(stores.databaseUrl));
  say(
    'schema',
    applied.length === 0 ? 'up to date' : `migrated to ${applied.at(-1)} by ${counted(applied.length, 'migration')}`,
  );
  const announce = (idOfPepper: string | null) => {
    const services = { apiUrl: options.servers ? null : url, ...stores.local, pepperId: idOfPepper };
    const remove = announceRunning(stateDir.path, services);
    onStop({ name: 'announcement', stop: async () => remove(), kill: remove });
  };
  if (options.servers) {
    announce(null);
    const servePort = isFree ? null : portBeside(port);
    present(cli, options, { ...stores.local, pid: process.pid }, () =>
      renderServersSteps({ local: stores.local, servePort }, cli.paint),
    );
    return;
  }
  if (options.example) await orEnd(context, loadExample(context, stores.databaseUrl));
  const adopted = await orEnd(context, adoptStep(context, stores, options));
  const predictors = adopted.predictors.map(({ predictor }) => predictor);
  const { apiProcesses } = readEnvironment(cli.env, { apiProcesses: environmentProcesses });
  await startPrograms(context, { ...stores, port, url, apiProcesses: options.apiProcesses ?? apiProcesses });
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
      hasStory: options.example === true && import.meta.filename.endsWith('.ts'),
      local: stores.local,
      paint: cli.paint,
    }),
  );
}

function createContext(cli: Cli, stateDir: StateDir, say: Say, add: (supervised: Supervised) => void): UpContext {
  const { promise: ended, reject: end } = Promise.withResolvers<never>();
  // The signal may arrive between two steps.
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

async function adoptStep(context: UpContext, stores: Stores, options: UpOptions): Promise<AdoptedConfig> {
  const { cli, say } = context;
  const path = resolve(cli.cwd, options.config ?? (options.example ? EXAMPLE_CONFIG : 'tandem.config.ts'));
  const urls = { url: stores.databaseUrl, featuresUrl: stores.featuresUrl };
  return withDatabases(urls, { applicationName: 'tandem-up' }, async (databases) => {
    const adopted = await adoptConfig(databases, path, {
      memoryLimitMb: modelMemoryMb(cli),
      force: options.force === true,
      command: 'tandem up',
      say: (line) => say('config', line),
      cwd: cli.cwd,
      redisUrl: stores.redisUrl,
    });
    for (const line of renderAdoption(adopted, cli.cwd)) say('config', line);
    return adopted;
  });
}

const LOADER = fileURLToPath(new URL('../../shop/load-history-main.ts', import.meta.url));
const EXAMPLE_CONFIG = fileURLToPath(new URL('../../shop/tandem.config.ts', import.meta.url));
const EXAMPLE_TO_TRY = { predictor: 'repurchase', userId: '42', eventType: 'order.placed' };

/** Loads the history of the example shop with its program, because the shop is a separate application. */
async function loadExample({ cli, say }: UpContext, databaseUrl: string): Promise<void> {
  const env = { ...cli.env, DATABASE_URL: databaseUrl };
  const { code, stdout, stderr } = await runCommand(process.execPath, [LOADER], { env });
  if (code !== 0) throw new CommandFailure(`the example's history was not loaded: ${(stderr || stdout).trim()}`);
  say('example', stdout.trim());
}

/**
 * Returns the address of the API, with the port of `--port`, PORT or 8080. Rejects a port in use before anything
 * starts.
 */
async function chooseAddress(options: UpOptions, env: Readonly<NodeJS.ProcessEnv>) {
  const fromEnvironment = readEnvironment(env, { http }).http;
  const wanted = options.port ?? fromEnvironment.port;
  // The API could choose a free port, but its clients would not know it.
  const port = wanted === 0 ? await findFreePort() : wanted;
  const isFree = await isPortFree(port);
  // Without an API, another program may use the port, for example the example shop.
  if (!options.servers && !isFree) throw taken(port, env);
  return { port, url: localUrl(fromEnvironment.host, port), isFree };
}

function taken(port: number, env: Readonly<NodeJS.ProcessEnv>): CommandFailure {
  const holder = findPortHolder(port);
  const other = portBeside(port);
  // npm takes options before `--` for itself.
  const option = `${env.npm_lifecycle_event === 'start' ? 'npm start -- ' : ''}--port ${other}`;
  return new CommandFailure(`port ${port} (PORT) is in use${holder === undefined ? '' : ` by ${holder}`}`, {
    remedy: `end that program, or choose another port: ${option}, or PORT=${other} in the environment`,
  });
}

function portBeside(port: number): number {
  return port === 65_535 ? port - 1 : port + 1;
}
