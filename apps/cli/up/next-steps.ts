/** What to try once everything runs. */
import type { Paint } from '../output/paint.ts';

export interface NextSteps {
  readonly url: string;
  readonly predictors: readonly string[];
  readonly example: boolean;
  readonly paint: Paint;
}

export function renderNextSteps({ url, predictors, example, paint }: NextSteps): string[] {
  const [predictor = 'predictor'] = predictors;
  // Another id each time: the same event again changes nothing.
  const event = `{"specversion":"1.0","id":"'$(date +%s)'","source":"me","type":"order.placed","subject":"42"}`;
  const steps: [string, string][] = [
    ['read a prediction', `curl -i ${url}/v1/predictions/${predictor}/42`],
    ['tell of a change', `curl -s ${url}/v1/events -H 'content-type: application/cloudevents+json' -d '${event}'`],
    ['read again: live', `curl -i ${url}/v1/predictions/${predictor}/42`],
    ['refresh everybody', `npx tandem run start ${predictor} --follow`],
    ['why this answer', `npx tandem explain ${predictor} 42`],
    ...(example ? [['the whole story', 'npm run shop'] as [string, string]] : []),
    ['documentation', `${url}/docs`],
  ];
  const lines = steps.flatMap(([title, line]) => [`  ${paint('faint', title)}`, `    ${line}`]);
  return ['', paint('strong', 'Try, in another terminal:'), ...lines, '', paint('faint', 'Ctrl-C stops everything.')];
}
