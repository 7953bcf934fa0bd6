/** Renders a prediction in the wire format. */

import { weakETag } from '@tandem/endpoints/caching';
import type { Answer, AnswerFrame, Rendering } from '@tandem/freshness/answer';
import { predictionView } from '@tandem/reading/prediction-view';

// Renders the entity tag and the JSON of an answer. The texts are cached with the prediction in memory: until the
// user's context or the assignment changes, only the age differs. Rendering would cost about 4 µs of the 40 µs of a
// read.

export function renderAnswer(answer: Answer): { readonly etag: string; readonly body: string } {
  const { remembered, ageSeconds } = answer;
  if (!remembered) return { etag: answerETag(answer), body: JSON.stringify(predictionView(answer)) };
  let texts = remembered.rendering;
  if (!texts || !isOfSameContext(answer, texts) || !isFramedBy(answer, texts.frame)) {
    texts = textsOf(answer);
    remembered.rendering = texts;
  }
  return { etag: texts.etag, body: `${texts.before}${ageSeconds}${texts.after}` };
}

function textsOf(answer: Answer): Rendering {
  const json = JSON.stringify(predictionView(answer));
  // The last `ageSeconds` is the age of the answer, whatever the names of outputs: only context versions follow it.
  const start = json.lastIndexOf(AGE) + AGE.length;
  return {
    frame: frameOf(answer),
    contextVersion: answer.contextVersion,
    lastConcerningVersion: answer.lastConcerningVersion,
    etag: answerETag(answer),
    before: json.slice(0, start),
    after: json.slice(json.indexOf(',', start)),
  };
}

const AGE = '"ageSeconds":';

/** Compares both versions: a changed config can raise `lastConcerningVersion` without `contextVersion`. */
function isOfSameContext(answer: Answer, texts: Rendering): boolean {
  return texts.contextVersion === answer.contextVersion && texts.lastConcerningVersion === answer.lastConcerningVersion;
}

let lastFrame: AnswerFrame | undefined;

/** Returns the part that most answers share. */
function frameOf(answer: Answer): AnswerFrame {
  if (lastFrame && isFramedBy(answer, lastFrame)) return lastFrame;
  const { predictor, source, reason, modelNumber, variant, generationNumber, history } = answer;
  lastFrame = { predictor, source, reason, modelNumber, variant, generationNumber, history };
  return lastFrame;
}

/**
 * Compares all fields that predictionView and answerETag read, except the age and the fields that the prediction in
 * memory determines.
 */
function isFramedBy(answer: Answer, frame: AnswerFrame): boolean {
  return (
    answer.source === frame.source &&
    answer.reason === frame.reason &&
    answer.history === frame.history &&
    answer.generationNumber === frame.generationNumber &&
    answer.modelNumber === frame.modelNumber &&
    answer.variant === frame.variant &&
    answer.predictor === frame.predictor
  );
}

/**
 * Returns the tag of an answer. It covers everything except the age, so that an answer that only grows older is a 304.
 */
function answerETag(answer: Answer): string {
  return weakETag([
    answer.predictor,
    answer.userId,
    JSON.stringify(answer.prediction),
    answer.source,
    answer.reason,
    answer.contextVersion,
    answer.lastConcerningVersion,
    answer.predictedFromContextVersion,
    answer.history,
    answer.modelNumber,
    answer.variant,
    answer.generationNumber,
  ]);
}
