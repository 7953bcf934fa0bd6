/** A fresh answer for tests, with the changes that a test needs. */
import type { Answer } from './answer.ts';

export function answerOf(changes: Partial<Answer> = {}): Answer {
  return {
    predictor: 'repurchase',
    userId: '1',
    prediction: { score: 0.5 },
    source: 'batch',
    reason: 'fresh',
    modelNumber: 2,
    variant: 'stable',
    rollout: null,
    generationNumber: 1,
    computedAt: 0,
    ageSeconds: 0,
    contextVersion: 3,
    lastConcerningVersion: 3,
    predictedFromContextVersion: 3,
    history: 'h',
    hit: true,
    kept: false,
    forwarded: null,
    ...changes,
  };
}
