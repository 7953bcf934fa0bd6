/** Renders an explanation: the answer, the certificate, the stored predictions, and the features of the model. */
import type { Candidate, ExplainedFeature, Explanation } from '@tandem/client/wire';
import type { Paint } from '@tandem/commands/command';
import { reasonText, renderOutputs, renderValue } from '@tandem/commands/output/answer';
import { duration, moment, printable, renderFields, renderTable, right } from '@tandem/commands/output/text';
import { renderOrigin } from './render-origin.ts';

const STATES: Readonly<Record<Candidate['state'], string>> = {
  fresh: 'fresh: no later event concerns this predictor, and it is not expired',
  restarted: 'fresh: its expiry counts from the rollback',
  stale: 'stale: from an older context',
  expired: 'expired: older than maxAge',
  foreign: 'foreign: of another generation, history or model version, or below the overlay floor',
  blocked: 'blocked: from before the user was erased',
};

export function renderExplanation(explanation: Explanation, paint: Paint): string[] {
  const { predictor, userId } = explanation;
  return [
    paint('strong', `${predictor} for user ${printable(userId)}, as Postgres sees it at ${moment(explanation.at)} UTC`),
    '',
    ...renderAnswerOf(explanation, paint),
    '',
    ...renderFacts(explanation),
    '',
    paint('strong', 'Stored'),
    ...renderCandidates(explanation, paint),
    '',
    paint('strong', 'Features'),
    ...renderFeatures(explanation, paint),
  ];
}

function renderAnswerOf(explanation: Explanation, paint: Paint): string[] {
  const { answer, answerProblem, cacheStatus, candidates } = explanation;
  if (answer === null) {
    return [paint('bad', `A read answers with an error: ${printable(answerProblem?.detail ?? 'no answer')}`)];
  }
  const isRefreshed = candidates.some((one) => one.madeBy === 'refresh' && one.computedAt === answer.computedAt);
  return [
    `A read answers ${paint('strong', renderOutputs(answer.prediction))}: ${answer.source}, because ${answer.reason} (${reasonText(answer)}).`,
    ...(isRefreshed ? [`Re-scored at ${moment(answer.computedAt)} UTC, after an event and before this read.`] : []),
    ...(cacheStatus === null ? [] : [paint('faint', `Cache-Status: ${cacheStatus}`)]),
  ];
}

function renderFacts({ user, assignment, history }: Explanation): string[] {
  const { modelVersion, variant, generation, overlayFloor, expiresFrom } = assignment;
  const restarted = expiresFrom === null ? '' : `, restored by a rollback at ${moment(expiresFrom)} UTC`;
  return renderFields([
    [
      'context',
      `version ${user.contextVersion}; the last version that concerns this predictor is ${user.lastConcerningVersion}`,
    ],
    ['assigned', `model version ${modelVersion} (${variant}), generation ${generation ?? 'none yet'}${restarted}`],
    ['history', `${history}, overlay floor ${overlayFloor}`],
  ]);
}

function renderCandidates({ candidates, stores }: Explanation, paint: Paint): string[] {
  const failed = Object.entries(stores).flatMap(([store, state]) =>
    state === 'failed' ? [paint('warn', `  ${store} did not answer and may have more`)] : [],
  );
  if (candidates.length === 0) return [...failed, '  nothing'];
  const titles = ['store', 'layer', 'prediction', 'by', 'model', 'generation', 'context', 'age', 'state'];
  const rows = candidates.map((one) => [
    `  ${one.store}`,
    one.layer,
    Object.values(one.prediction ?? {})
      .map(renderValue)
      .join(', '),
    one.madeBy,
    one.modelVersion ?? '?',
    one.generation ?? '',
    String(one.predictedFromContextVersion),
    duration(one.ageSeconds * 1000),
    paint(one.state === 'fresh' || one.state === 'restarted' ? 'good' : 'warn', STATES[one.state]),
  ]);
  const columns = titles.map((title, i) => (i === 0 ? `  ${title}` : title));
  return [...failed, ...renderTable(columns, rows)];
}

function renderFeatures({ features, featureFault, featureProblem }: Explanation, paint: Paint): string[] {
  if (featureProblem !== null) return [paint('bad', `  ${printable(featureProblem.detail)}`)];
  const fault = featureFault === null ? [] : [paint('bad', `  cannot be scored: ${printable(featureFault)}`)];
  if (features.length === 0) return [...fault, '  the feature source has no row of this user'];
  const rows = features.map((feature) => [`  ${feature.name}`, renderValue(feature.value), provenanceOf(feature)]);
  return [...fault, ...renderTable(['  name', right('value'), 'from'], rows)];
}

function provenanceOf({ rowValue, event, from }: ExplainedFeature): string {
  const origin = renderOrigin({ ...(event ? { event } : {}), from });
  return event === undefined || rowValue === undefined ? origin : `${origin} (the row says ${renderValue(rowValue)})`;
}
