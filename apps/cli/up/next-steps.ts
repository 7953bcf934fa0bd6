/** Renders commands to try when everything runs. */

import type { Paint } from '@tandem/commands/command';
import { shellOperand, shellWord } from '@tandem/commands/output/text';
import type { ToTry } from '../adopt/adopt-config.ts';

/** The URLs of the servers that `up` started, with their passwords; null for a server that the environment names. */
interface LocalUrls {
  readonly databaseUrl: string | null;
  readonly redisUrl: string | null;
}

interface NextSteps {
  readonly url: string;
  /** Whether the API requires keys. */
  readonly asksForKeys: boolean;
  /** Whether the pepper of keys comes from the environment, which another terminal does not have. */
  readonly hasOwnPepper: boolean;
  /** A user and an event to try; null if no user is known yet. */
  readonly toTry: ToTry | null;
  /** Whether the example runs from the repository, which has the program `npm run shop`. */
  readonly hasStory: boolean;
  readonly local: LocalUrls;
  readonly paint: Paint;
}

type Step = readonly [title: string, line: string];

/** The command that stores a new key in a variable of the shell, which the following lines and the commands use. */
const MAKE_KEY = 'export TANDEM_API_KEY=$(npx tandem key create --name me --scopes all | head -n 1)';
const SEND_KEY = ' -H "Authorization: Bearer $TANDEM_API_KEY"';

export function renderNextSteps(next: NextSteps): string[] {
  const { url, asksForKeys, hasOwnPepper, toTry, hasStory, local, paint } = next;
  const where = hasOwnPepper ? '; before that, set the same API_KEY_PEPPER in that terminal' : '';
  const steps: Step[] = [
    ...(asksForKeys ? [[`an API key, which the following lines send${where}`, MAKE_KEY] as const] : []),
    ...(toTry ? requests({ url, header: asksForKeys ? SEND_KEY : '' }, toTry) : []),
    ...(hasStory ? [['the whole story', 'npm run shop'] as const] : []),
    ...postgresStep(local),
    ...redisStep(local),
    ['documentation', `${url}/docs`],
  ];
  return renderSteps(steps, paint);
}

function postgresStep({ databaseUrl }: LocalUrls): Step[] {
  return databaseUrl === null ? [] : [['your own tables', `psql ${databaseUrl}`]];
}

/** Returns the address that an embedded reader needs. No command of Tandem asks for it. */
function redisStep({ redisUrl }: LocalUrls): Step[] {
  return redisUrl === null ? [] : [['the address of Redis, for @tandem/embedded', redisUrl]];
}

interface ServersSteps {
  readonly local: LocalUrls;
  /** The port to serve on if another program uses the default port; null if that is free. */
  readonly servePort: number | null;
}

/** Renders the next steps of `up --servers`. */
export function renderServersSteps({ local, servePort }: ServersSteps, paint: Paint): string[] {
  const steps: Step[] = [
    ...postgresStep(local),
    ['a table from a CSV file', 'npx tandem load customers.csv --key customer_id'],
    ['a config for a model and a table', 'npx tandem init --model ./churn.onnx --table customers --key customer_id'],
    ['check the config', 'npx tandem check'],
    ['serve it, after stopping this command', `npx tandem up${servePort === null ? '' : ` --port ${servePort}`}`],
    ...redisStep(local),
  ];
  return renderSteps(steps, paint);
}

function renderSteps(steps: readonly Step[], paint: Paint): string[] {
  const lines = steps.flatMap(([title, line]) => [`  ${paint('faint', title)}`, `    ${line}`]);
  return ['', paint('strong', 'Try, in another terminal:'), ...lines, '', paint('faint', 'Ctrl-C stops everything.')];
}

interface Api {
  readonly url: string;
  /** The curl option with the header; empty if none is needed. */
  readonly header: string;
}

function requests(api: Api, { predictor, userId, eventType }: ToTry): Step[] {
  const path = `/v1/predictions/${predictor}/${encodeURIComponent(userId)}`;
  const read = `curl -i${api.header} ${shellWord(`${api.url}${path}`)}`;
  const change: Step[] =
    eventType === null
      ? []
      : [
          ['send an event', changeRequest(api, userId, eventType)],
          ['read again: live', read],
        ];
  return [
    ['read a prediction', read],
    ...change,
    ['refresh all users', `npx tandem run start ${predictor} --follow`],
    ['why this answer', `npx tandem explain ${predictor} ${shellOperand(userId)}`],
  ];
}

/**
 * Returns a curl command that sends an event. Each run of the command uses a new id, because a repeated event would
 * change nothing.
 */
function changeRequest({ url, header }: Api, userId: string, type: string): string {
  const after = JSON.stringify({ source: 'me', type, subject: userId }).slice(1).replaceAll("'", "'\\''");
  const event = `'{"specversion":"1.0","id":"'$(date +%s)'",${after}'`;
  return `curl -s${header} ${url}/v1/events -H 'content-type: application/cloudevents+json' -d ${event}`;
}
