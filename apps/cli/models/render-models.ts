/** Model versions as people read them. */
import type { ModelView } from '@tandem/client/model-wire';
import type { Paint } from '../command-line/paint.ts';
import { ago, moment } from '../output/quantities.ts';
import { printable, renderTable } from '../output/table.ts';

/** Enough of a hash to tell files apart. */
const HASH_SHOWN = 12;

export function renderModels(models: readonly ModelView[], paint: Paint, now: number): string[] {
  if (models.length === 0) return ['no model version yet; adopt a config: tandem adopt'];
  const columns = [
    { title: 'predictor' },
    { title: 'version', align: 'right' as const },
    ...['served as', 'labels', 'artifact', 'came', 'age', 'inputs', 'outputs'].map((title) => ({ title })),
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
