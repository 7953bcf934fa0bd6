/** Starts API and worker, keeps them running, and waits until the API is ready. */

import { fileURLToPath } from 'node:url';
import type { Cli } from '@tandem/commands/command';
import { givenPaths } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import { supervise } from '@tandem/timing/supervise';
import { sleepFor } from '@tandem/transport/retry';
import { localPepperFile } from '../keys/open-keys.ts';
import { startNodeProgram } from './node-process.ts';
import { orEnd, type UpContext } from './up-context.ts';

interface ProgramSettings {
  readonly databaseUrl: string;
  /** The same database, perhaps with a separate login. */
  readonly featuresUrl: string;
  readonly redisUrl: string;
  readonly port: number;
  readonly url: string;
  /** The number of API processes that share the port. */
  readonly apiProcesses: number;
}

const FILES = {
  api: fileURLToPath(new URL('../../api/main.ts', import.meta.url)),
  worker: fileURLToPath(new URL('../../worker/main.ts', import.meta.url)),
};
const READY_WITHIN_MS = 60_000;

/**
 * Returns the variable of the folder's pepper, or no variable if the environment names a pepper. The API may require
 * keys, and `tandem key` hashes them under this pepper.
 */
function pepperFile({ cli, stateDir }: UpContext): NodeJS.ProcessEnv {
  if (cli.env.API_KEY_PEPPER || cli.env.API_KEY_PEPPER_FILE) return {};
  return { API_KEY_PEPPER_FILE: localPepperFile(stateDir.path) };
}

export async function startPrograms(context: UpContext, settings: ProgramSettings): Promise<void> {
  const { cli, say } = context;
  const given = givenPaths(cli);
  const env = {
    ...cli.env,
    // The address is not changed: API and worker use a pooler, which commands bypass.
    DATABASE_URL: given?.url ?? settings.databaseUrl,
    FEATURES_DATABASE_URL: given?.featuresUrl ?? settings.featuresUrl,
    REDIS_URL: settings.redisUrl,
    // These variables are removed because their files are already read: a value from two places would be rejected.
    DATABASE_URL_FILE: undefined,
    FEATURES_DATABASE_URL_FILE: undefined,
    REDIS_URL_FILE: undefined,
    PORT: String(settings.port),
    API_PROCESSES: String(settings.apiProcesses),
    ...pepperFile(context),
  };
  for (const name of ['api', 'worker'] as const) {
    const program = await supervise({
      ...context.supervision,
      name,
      say: (line) => say(name, line),
      start: async () => {
        // `npm run dev` sets the variable.
        const watch = cli.env.TANDEM_WATCH === '1';
        return startNodeProgram({ name, file: FILES[name], env, stateDir: context.stateDir, watch });
      },
    });
    context.keep(program);
    const shared = name === 'api' && settings.apiProcesses > 1 ? ` with ${settings.apiProcesses} API processes` : '';
    say(name, `process ${program.pid()}${shared}, log .tandem/logs/${name}.log`);
  }
  await orEnd(context, waitUntilReady(cli, settings.url));
}

const ASK_EVERY_MS = 100;
const ANSWER_WITHIN_MS = 2_000;

/** Waits until the API is ready. Rejects with the last answer of `/readyz` when the time is over. */
async function waitUntilReady({ signal, now }: Cli, url: string): Promise<void> {
  const end = now() + READY_WITHIN_MS;
  for (;;) {
    const said = await ask(`${url}/readyz`, signal);
    if (said === undefined) return;
    signal.throwIfAborted();
    if (now() > end) {
      throw new CommandFailure(`the API was not ready within ${READY_WITHIN_MS / 1000} s: ${said}`, {
        remedy: 'look in its log: .tandem/logs/api.log',
      });
    }
    await sleepFor(ASK_EVERY_MS, signal);
  }
}

/** Returns why the API is not ready; undefined if it is ready. */
async function ask(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]) });
    const text = await response.text();
    return response.ok ? undefined : `HTTP ${response.status} ${text.slice(0, 300)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
