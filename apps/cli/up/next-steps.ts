/** What to try once everything runs. */
import type { ToTry } from '../adoption/adopt-config.ts';
import type { Paint } from '../output/paint.ts';
import { shellOperand, shellWord } from '../output/shell-word.ts';

export interface NextSteps {
  readonly url: string;
  /** null: no user is known yet. */
  readonly toTry: ToTry | null;
  readonly example: boolean;
  /** Of the Postgres that runs because of us, with its password; null where the environment named one. */
  readonly databaseUrl: string | null;
  readonly paint: Paint;
}

type Step = readonly [title: string, line: string];

export function renderNextSteps({ url, toTry, example, databaseUrl, paint }: NextSteps): string[] {
  const steps: Step[] = [
    ...(toTry ? requests(url, toTry) : []),
    ...(example ? [['the whole story', 'npm run shop'] as const] : []),
    ...(databaseUrl === null ? [] : [['your own tables', `psql ${databaseUrl}`] as const]),
    ['documentation', `${url}/docs`],
  ];
  return renderSteps(steps, paint);
}

/** Where only the servers run. */
export function renderServersSteps(databaseUrl: string | null, paint: Paint): string[] {
  const steps: Step[] = [
    ...(databaseUrl === null ? [] : [['your own tables', `psql ${databaseUrl}`] as const]),
    ['a table from a CSV file', 'npx tandem load customers.csv --key customer_id'],
    ['a config for a model and a table', 'npx tandem init --model ./churn.onnx --table customers --key customer_id'],
    ['would it work?', 'npx tandem check'],
    ['serve it, once this is stopped', 'npx tandem up'],
  ];
  return renderSteps(steps, paint);
}

function renderSteps(steps: readonly Step[], paint: Paint): string[] {
  const lines = steps.flatMap(([title, line]) => [`  ${paint('faint', title)}`, `    ${line}`]);
  return ['', paint('strong', 'Try, in another terminal:'), ...lines, '', paint('faint', 'Ctrl-C stops everything.')];
}

function requests(url: string, { predictor, userId, eventType }: ToTry): Step[] {
  const read = `curl -i ${shellWord(`${url}/v1/predictions/${predictor}/${encodeURIComponent(userId)}`)}`;
  const change: Step[] =
    eventType === null
      ? []
      : [
          ['tell of a change', changeRequest(url, userId, eventType)],
          ['read again: live', read],
        ];
  return [
    ['read a prediction', read],
    ...change,
    ['refresh everybody', `npx tandem run start ${predictor} --follow`],
    ['why this answer', `npx tandem explain ${predictor} ${shellOperand(userId)}`],
  ];
}

/** Another id each time: the same event again changes nothing. */
function changeRequest(url: string, userId: string, type: string): string {
  const after = JSON.stringify({ source: 'me', type, subject: userId }).slice(1).replaceAll("'", "'\\''");
  const event = `'{"specversion":"1.0","id":"'$(date +%s)'",${after}'`;
  return `curl -s ${url}/v1/events -H 'content-type: application/cloudevents+json' -d ${event}`;
}
