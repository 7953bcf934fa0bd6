/** Renders the comparison of an optimised build with its parent. */
import type { BuildComparison, ComparedPace, ComparedVersion } from '@tandem/client/builds';
import { count, printable, renderFields, renderTable, right } from '@tandem/commands/output/text';

type Row = readonly [what: string, parent: string, build: string, more: string];

export function renderComparison(comparison: BuildComparison): string[] {
  const { predictor, parent, build, users, pace } = comparison;
  const rows: Row[] = [
    ['bytes', count(parent.bytes), count(build.bytes), `${figure(build.bytes / parent.bytes, 2)} of its parent`],
    paceRow('time a user, alone', pace.alone),
    paceRow(`time a user, among ${count(pace.together.users)}`, pace.together),
    ['inferred', howInferred(parent), howInferred(build), ''],
    ['same alone and together', rowsText(parent), rowsText(build), pinText(build)],
    ...labelRows(comparison),
    ...(parent.refused + build.refused > 0
      ? [['users without an answer', count(parent.refused), count(build.refused), ''] as const]
      : []),
  ];
  const kind = printable(build.build ?? 'build');
  return [
    `${predictor}: ${kind} build ${build.modelVersion} compared with model version ${parent.modelVersion}, on ${usersText(users)}`,
    ...renderTable(['', right(`version ${parent.modelVersion}`), right(`build ${build.modelVersion}`), ''], rows),
    '',
    ...renderFields(answerFields(comparison)),
  ];
}

function usersText({ asked, compared }: BuildComparison['users']): string {
  return asked === compared ? `${count(compared)} real users` : `${count(compared)} of ${count(asked)} real users`;
}

function paceRow(what: string, { parentUs, buildUs, speedup: { median, low, high } }: ComparedPace): Row {
  const times = `${figure(median, 3)}× as fast (${figure(low, 3)} to ${figure(high, 3)})`;
  return [what, `${figure(parentUs, 3)} µs`, `${figure(buildUs, 3)} µs`, times];
}

function howInferred({ rowByRow }: ComparedVersion): string {
  return rowByRow ? 'row by row' : 'in batches';
}

function rowsText({ rowsAgree, largestRowDifference }: ComparedVersion): string {
  if (rowsAgree === null) return 'not known';
  if (rowsAgree) return 'yes';
  return largestRowDifference === null ? 'no' : `${figure(largestRowDifference, 2)} apart`;
}

function pinText({ rowByRow, rowsAgree }: ComparedVersion): string {
  if (rowsAgree === false) return 'push it with --row-by-row, since its answers depend on the batch';
  return rowsAgree && rowByRow ? 'push it without --row-by-row, which it does not need' : '';
}

function labelRows({ labels }: BuildComparison): Row[] {
  if (labels === null) return [];
  const { figures } = labels;
  const row = (what: string, parent: number | null, build: number | null): Row => {
    const more = parent === null || build === null ? '' : signed(build - parent);
    return [what, figure(parent), figure(build), more];
  };
  if (figures.kind === 'classes') {
    const { parent, build } = figures;
    return [row('AUC', parent.auc, build.auc), row('log-loss', parent.logLoss, build.logLoss)];
  }
  const { parent, build } = figures;
  return [
    row('mean absolute error', parent.meanAbsoluteError, build.meanAbsoluteError),
    row('root mean squared error', parent.rootMeanSquaredError, build.rootMeanSquaredError),
  ];
}

function answerFields({ outputs, decision }: BuildComparison): (readonly [string, string])[] {
  const fields = outputs.map(({ name, changed, meanDifference, largestDifference, rankCorrelation }) => {
    const parts = [
      `changed for ${percent(changed)} of users`,
      ...(meanDifference === null ? [] : [`mean difference ${figure(meanDifference)}`]),
      ...(largestDifference === null ? [] : [`largest ${figure(largestDifference)}`]),
      ...(rankCorrelation === null ? [] : [`rank correlation ${figure(rankCorrelation, 6)}`]),
    ];
    return [printable(name), parts.join('; ')] as const;
  });
  if (decision === null) return fields;
  const { output, threshold, up, down, rate, low, high } = decision;
  const range = `${percent(rate)}, at 95 % ${percent(low)} to ${percent(high)}`;
  return [
    ...fields,
    [
      'decisions',
      `${count(up + down)} changed (${range}) at ${printable(output)} ≥ ${threshold}: ${up} up, ${down} down`,
    ],
  ];
}

function figure(value: number | null, digits = 4): string {
  return value === null ? 'none' : `${Number(value.toPrecision(digits))}`;
}

function signed(value: number): string {
  return `${value > 0 ? '+' : ''}${figure(value, 2)}`;
}

function percent(share: number): string {
  return `${figure(share * 100, 2)} %`;
}
