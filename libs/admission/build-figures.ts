/** The figures of an optimised build and of its parent, side by side. */

import { TandemError } from '@tandem/freshness/errors';
import type { DecisionPolicy } from '@tandem/freshness/predictor';
import type { RowParity, SideFigures } from '@tandem/inference/admission/measure-builds';
import type { Paces } from '@tandem/inference/admission/paces';
import type { ModelVersionRecord } from '@tandem/offline-store/models/model-versions';
import {
  type Agreement,
  type AnsweredUsers,
  judgedField,
  type Label,
  type LabelFigures,
  numbersOf,
  scoreLabels,
} from '@tandem/prediction/builds/compare-builds';

export interface BuildFigures {
  readonly parent: BuildSide;
  readonly build: BuildSide;
  /** `asked`: users requested; `read`: users that both models can score; `compared`: users with both answers. */
  readonly users: { readonly asked: number; readonly read: number; readonly compared: number };
  readonly agreement: Agreement;
  /** The comparison with the labels; null if no labels were given. */
  readonly labels: JudgedLabels | null;
  readonly paces: Paces;
}

export interface BuildSide {
  readonly number: number;
  /** The kind of the build; null if the version is not an optimised build. */
  readonly kind: string | null;
  readonly artifact: string;
  /** Size of the file. */
  readonly bytes: number;
  /** Whether the version is pinned to infer each user alone. */
  readonly rowByRow: boolean;
  /** Whether answers are the same alone and in a batch, measured without the pin. */
  readonly parity: RowParity;
  /** The number of users without a usable answer from this version. */
  readonly refused: number;
}

interface JudgedLabels {
  /** The output field that was compared with the labels. */
  readonly output: string;
  /** The number of users with a label and both answers. */
  readonly users: number;
  readonly figures: LabelFigures;
}

export function sideOf(version: ModelVersionRecord, { parity, refused }: SideFigures): BuildSide {
  const { number, build, artifactHash: artifact, size: bytes, rowByRow = false } = version;
  return { number, kind: build?.kind ?? null, artifact, bytes, rowByRow, parity, refused };
}

/** Judges both versions by the labels. Throws `invalid_input` if the predictor has no output with a single number. */
export function judgeLabels(
  labels: readonly Label[],
  userIds: readonly string[],
  { parent, build }: { readonly parent: AnsweredUsers; readonly build: AnsweredUsers },
  decision: DecisionPolicy | undefined,
): JudgedLabels {
  const output = judgedField(parent, decision);
  const [ours, theirs] = output === null ? [] : [numbersOf(parent, output), numbersOf(build, output)];
  if (output === null || !ours || !theirs) {
    throw new TandemError(
      'invalid_input',
      'Labels cannot be used, because this predictor has no output with one number for each user.',
      {
        field: 'labels',
        remedy: 'leave the labels out, or set decision.output in the config to an output with one number',
      },
    );
  }
  const known = new Map(labels.map(({ userId, label }) => [userId, label]));
  const figures = scoreLabels({ labels: userIds.map((id) => known.get(id) ?? 0), parent: ours, build: theirs });
  return { output, users: userIds.length, figures };
}
