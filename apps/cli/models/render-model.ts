/** Renders model versions: a list, one version in full, and the result of a push. */
import type { ModelDetail, ModelView, ParityView } from '@tandem/client/wire';
import type { Paint } from '@tandem/commands/command';
import { ago, count, moment, printable, renderFields, renderTable, right } from '@tandem/commands/output/text';

/** The number of hash digits that distinguish files. */
const HASH_SHOWN = 12;

export function renderModels(models: readonly ModelView[], paint: Paint, now: number): string[] {
  if (models.length === 0) return ['no model version yet; adopt a config: tandem adopt'];
  const columns = [
    'predictor',
    right('version'),
    'served as',
    'labels',
    'artifact',
    'came',
    'age',
    'inputs',
    'outputs',
  ];
  const rows = models.map(
    ({ predictor, modelVersion, variants, labels, artifact, createdAt, archivedAt, inputs, outputs }) => [
      predictor,
      modelVersion,
      archivedAt === null ? variants.map((variant) => paint('good', variant)).join(', ') : 'archived',
      labels.join(', '),
      artifact.slice(0, HASH_SHOWN),
      moment(createdAt),
      ago(createdAt, now),
      inputs.map(({ name, type, columns }) => printable(`${name} ${type}[${columns.length}]`)).join(', '),
      outputs
        .map(({ name, type, width }) => printable(`${name} ${type}${width === null ? '' : `[${width}]`}`))
        .join(', '),
    ],
  );
  return renderTable(columns, rows);
}

export function renderModel(model: ModelDetail, now: number): string[] {
  const { predictor, modelVersion, artifact, bytes, createdAt, origin, variants, labels, note, metadata } = model;
  const { parent, build, features, request, rowByRow, parity, inputs, outputs } = model;
  const columns = features.columns.map(({ name }) => printable(name)).join(', ');
  return [
    `${predictor}, model version ${modelVersion}`,
    ...renderFields(
      [
        ['came', `${moment(createdAt)} (${ago(createdAt, now)}), ${origin.how} by ${printable(origin.by)}`],
        ['served as', variants.join(', ') || 'not served'],
        ['archived', model.archivedAt === null ? '' : `${moment(model.archivedAt)} (${ago(model.archivedAt, now)})`],
        ['labels', labels.join(', ') || 'none'],
        ['note', printable(note)],
        ['metrics', metricsText(model)],
        ['build', build === null ? '' : `${printable(build)} of model version ${parent}`],
        ['artifact', `${artifact} (${count(bytes)} bytes)`],
        ['file', metadata === null ? '' : fileText(metadata)],
        [
          'inputs',
          inputs.map(({ name, type, columns: taken }) => `${printable(name)} ${type}[${taken.length}]`).join(', '),
        ],
        [
          'outputs',
          outputs
            .map(({ name, type, width }) => `${printable(name)} ${type}${width === null ? '' : `[${width}]`}`)
            .join(', '),
        ],
        ['features', `${features.columns.length}: ${columns}`],
        ['request', request.map(({ name }) => printable(name)).join(', ')],
        ['as of', features.asOf ?? ''],
        ['inferred', rowByRow ? 'row by row' : 'in batches'],
        ['parity', parityText(parity)],
      ].filter((field): field is [string, string] => field[1] !== ''),
      '  ',
    ),
    '',
    ...features.sql.split('\n').map((line) => `  ${printable(line)}`),
  ];
}

/** Renders the result of a push. */
export function renderPushed(model: ModelDetail): string[] {
  const { predictor, modelVersion, parity, labels } = model;
  return [
    `${predictor}: model version ${modelVersion} is stored${labels.length === 0 ? '' : ` (${labels.join(', ')})`}; it does not serve traffic yet`,
    ...renderFields([['parity', parityText(parity)]], '  '),
    `  next: tandem rollout start ${predictor} ${modelVersion}`,
  ];
}

function parityText(parity: ParityView | null): string {
  if (parity === null)
    return 'no certificate of a trial: adopted before certificates existed; push the version again to create one';
  const { users, readBothWays, batchSizes, largestDifference: largest } = parity;
  const who = `${count(users.real)} real and ${count(users.madeUp)} synthetic users`;
  const how = `alone and in batches of up to ${count(batchSizes.at(-1) ?? 1)}, and for ${count(readBothWays)} users also with the features of a run`;
  const worst =
    largest === null
      ? 'equal to the last bit'
      : `at most ${Number(largest.difference.toPrecision(2))} apart (${largest.output})`;
  return `the same answers for ${who}: ${how}; ${worst}`;
}

function fileText({ producer, opset, irVersion }: NonNullable<ModelDetail['metadata']>): string {
  const sets = Object.entries(opset).map(([domain, version]) => `${printable(domain)} ${version}`);
  return [printable(producer), `opset ${sets.join(', ')}`, `IR version ${irVersion}`]
    .filter((part) => part !== '')
    .join('; ');
}

function metricsText({ metrics }: ModelDetail): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${printable(name)} ${value}`)
    .join(', ');
}
