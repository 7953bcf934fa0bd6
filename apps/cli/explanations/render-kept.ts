/** Renders kept answers: a list, one answer with its inputs, and the result of a replay. */
import type { KeptExplanation, Replay } from '@tandem/client/explanations';
import type { Paint, Tone } from '@tandem/commands/command';
import { answerFields, renderOutputs, renderValue } from '@tandem/commands/output/answer';
import { moment, printable, renderFields, renderTable, right } from '@tandem/commands/output/text';
import { renderOrigin } from './render-origin.ts';

const NO_INPUTS = {
  no_row: 'the feature source had no row of the user',
  not_read: 'the feature source did not answer',
} as const;

export function renderKeptList(explanations: readonly KeptExplanation[]): string[] {
  if (explanations.length === 0) return ['no answer is kept; the setting `explanations` of a predictor keeps them'];
  const titles = ['id', 'answered', 'predictor', 'user', 'prediction', 'source', 'reason', 'model', 'inputs'];
  return renderTable(
    titles,
    explanations.map(({ id, at, answer, inputs }) => [
      id,
      moment(at),
      answer.predictor,
      printable(answer.userId),
      Object.values(answer.prediction).map(renderValue).join(', '),
      answer.source,
      answer.reason,
      `${answer.modelVersion} (${answer.variant})`,
      inputs === null ? 'none' : shortly(inputs, isDefault(answer)),
    ]),
  );
}

/** Returns whether the answer is the declared default, which is computed from no context. */
function isDefault({ computedAt }: KeptExplanation['answer']): boolean {
  return computedAt === null;
}

function shortly({ read, ofSameContext }: NonNullable<KeptExplanation['inputs']>, ofDefault: boolean): string {
  if (read === 'for_the_answer') return 'of the answer';
  return ofSameContext || ofDefault ? 'read after it' : 'of another context';
}

export function renderKept({ id, at, keptUntil, answer, history, inputs, noInputs }: KeptExplanation, paint: Paint) {
  return [
    paint('strong', `${answer.predictor} for user ${printable(answer.userId)}, answered at ${moment(at)} UTC`),
    '',
    ...renderFields([
      ...answerFields(answer, paint),
      ['history', history ?? 'unknown'],
      ['kept', `until ${moment(keptUntil)} UTC, as ${id}`],
    ]),
    '',
    paint('strong', 'Inputs'),
    ...(inputs === null
      ? [`  none: ${NO_INPUTS[noInputs ?? 'not_read']}`]
      : renderInputs(inputs, isDefault(answer), paint)),
  ];
}

function renderInputs(inputs: NonNullable<KeptExplanation['inputs']>, ofDefault: boolean, paint: Paint): string[] {
  const { read, readAt, contextVersion, ofSameContext, features, fault } = inputs;
  const whose =
    read === 'for_the_answer'
      ? 'those of the inference itself'
      : `read after the reply, at ${moment(readAt)} UTC, because the answer ${ofDefault ? 'is the declared default' : 'was stored'}`;
  const other = ofSameContext || ofDefault ? '' : ', but the answer was computed from another version';
  return [
    `  ${whose}; context version ${contextVersion}${other}`,
    ...(fault === null ? [] : [paint('bad', `  cannot be scored: ${printable(fault)}`)]),
    ...renderTable(
      ['  name', right('value'), 'from'],
      features.map((feature) => [`  ${printable(feature.name)}`, renderValue(feature.value), renderOrigin(feature)]),
    ),
  ];
}

const VERDICTS: Readonly<Record<Replay['verdict'], readonly [Tone, string]>> = {
  agrees: ['good', 'agrees'],
  differs: ['bad', 'differs'],
  inputs_changed: ['warn', 'nothing to compare: the inputs are of another context'],
  refused: ['bad', 'not computed'],
};

export function renderReplay(replay: Replay, paint: Paint): string[] {
  const { verdict, reason, kept, recomputed, difference, tolerance } = replay;
  const [tone, words] = VERDICTS[verdict];
  return renderFields([
    ['verdict', `${paint(tone, words)}: ${printable(reason)}`],
    ['kept', renderOutputs(kept)],
    ['now', recomputed && renderOutputs(recomputed)],
    ['furthest', difference && furthest(difference, tolerance)],
  ]);
}

function furthest(difference: NonNullable<Replay['difference']>, tolerance: number | null): string {
  const { output, kept, recomputed, difference: by, ofAllowed } = difference;
  const values = `${printable(output)} ${renderValue(kept)} → ${renderValue(recomputed)}`;
  if (by === null || ofAllowed === null) return values;
  const times = `${Number(ofAllowed.toPrecision(2))} times the tolerance of ${tolerance ?? 0}`;
  return `${values}, by ${by.toPrecision(3)}: ${times}`;
}
