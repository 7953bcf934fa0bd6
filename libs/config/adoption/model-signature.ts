/** A model's signature as an inspection of the artifact gives it. */
import type { DescribedTensor } from '@tandem/prediction/models/model-signature';

export interface ModelSignature {
  readonly inputs: readonly DescribedTensor[];
  readonly outputs: readonly DescribedTensor[];
}
