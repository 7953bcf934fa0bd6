/** What a push says: the file, what is new in its definition, and its owner's words. */

import type { Push } from '@tandem/admission/push-version';
import type { PushBody } from '@tandem/wire/pushes';

/** The body as the use case takes it, without who pushes what of. */
export function pushOf(body: PushBody): Omit<Push, 'predictor' | 'actor'> {
  const { artifact, features, inputs, outputs, rowByRow, note, metrics, label, parent, build } = body;
  return {
    artifact,
    settings: { features, inputs, outputs, rowByRow },
    note,
    metrics,
    label,
    build: parent === undefined || build === undefined ? undefined : { parent: Number(parent), kind: build },
  };
}
