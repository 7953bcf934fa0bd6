/** An optimised build beside the model version that it was made of: what is compared, and the shape of what was found. */
import type { DecisionPolicy } from '@tandem/freshness/predictor';

/** How far the build's answers are from its parent's, of one field of the prediction. */
export interface OutputAgreement {
  readonly name: string;
  /** Share of users with another answer, 0 to 1. */
  readonly changed: number;
  /** Of absolute differences; of a vector, over all of its values. null: texts. */
  readonly meanDifference: number | null;
  readonly largestDifference: number | null;
  /** Spearman's, of the users' order; null: a vector, texts, or one value throughout. */
  readonly rankCorrelation: number | null;
}

/** Users whom the build decides otherwise on: `up` reach the threshold with it alone, `down` with its parent alone. */
export interface BuildFlips extends DecisionPolicy {
  readonly up: number;
  readonly down: number;
  /** Of all users, 0 to 1, and where it lies at 95 %. */
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

export interface Agreement {
  readonly outputs: readonly OutputAgreement[];
  /** null: the predictor declares no decision. */
  readonly decision: BuildFlips | null;
}

/** What really became of a user, by whoever knows. */
export interface Label {
  readonly userId: string;
  readonly label: number;
}

/** Of labels 0 and 1 and scores from 0 to 1. */
export interface ClassFigures {
  /** null: all labels are one. */
  readonly auc: number | null;
  readonly logLoss: number;
}

/** Of any other labels and scores. */
export interface ErrorFigures {
  readonly meanAbsoluteError: number;
  readonly rootMeanSquaredError: number;
}

export type LabelFigures =
  | { readonly kind: 'classes'; readonly parent: ClassFigures; readonly build: ClassFigures }
  | { readonly kind: 'errors'; readonly parent: ErrorFigures; readonly build: ErrorFigures };
