/** Renders a prediction in the wire format. */
import { predictionView } from '@tandem/embedded/prediction-view';
import type { Answer, AnswerFrame, Rendering } from '@tandem/freshness/answer';
import { weakETag } from '../../http/caching.ts';

// An answer has its entity tag and its JSON. The texts of a prediction in memory are kept beside it: until the user's
// context or the assignment changes, only the age differs, and rendering costs about 4 µs of a read's 40.

interface RenderedAnswer {
  readonly etag: string;
  readonly body: string;
}

export function renderAnswer(answer: Answer): RenderedAnswer {
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
  // The last field of this name is not an output, whatever the outputs' names: only context versions follow it.
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

/** A changed config can raise `lastConcerningVersion` while `contextVersion` stays. */
function isOfSameContext(answer: Answer, texts: Rendering): boolean {
  return texts.contextVersion === answer.contextVersion && texts.lastConcerningVersion === answer.lastConcerningVersion;
}

let lastFrame: AnswerFrame | undefined;

/** Returns the shared part of answers: most users' answers have the same. */
function frameOf(answer: Answer): AnswerFrame {
  if (lastFrame && isFramedBy(answer, lastFrame)) return lastFrame;
  const { predictor, source, reason, modelNumber, variant, generationNumber, history } = answer;
  lastFrame = { predictor, source, reason, modelNumber, variant, generationNumber, history };
  return lastFrame;
}

/** Compares all that predictionView and answerETag read, but for the age and what the prediction in memory itself decides. */
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
