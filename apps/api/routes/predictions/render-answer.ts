/**
 * An answer as text: its entity tag and its JSON. Of an answer that is held in memory both are kept beside it, since
 * until the user's context or the assignment changes only the age differs; making them anew costs some 4 µs of 40.
 */
import type { Answer, AnswerFrame, HeldRendering } from '@tandem/freshness/answer';
import { weakETag } from '../../http/etag.ts';
import { predictionView } from './prediction-view.ts';

export interface RenderedAnswer {
  readonly etag: string;
  readonly body: string;
}

export function renderAnswer(answer: Answer): RenderedAnswer {
  const { held, ageSeconds } = answer;
  if (!held) return { etag: answerETag(answer), body: JSON.stringify(predictionView(answer)) };
  let texts = held.rendering;
  if (!texts || texts.contextVersion !== answer.contextVersion || !isFramedBy(answer, texts.frame)) {
    texts = textsOf(answer);
    held.rendering = texts;
  }
  return { etag: texts.etag, body: `${texts.before}${ageSeconds}${texts.after}` };
}

function textsOf(answer: Answer): HeldRendering {
  const json = JSON.stringify(predictionView(answer));
  // The last one is ours, whatever the model's outputs are called: only context versions follow it.
  const start = json.lastIndexOf(AGE) + AGE.length;
  return {
    frame: frameOf(answer),
    contextVersion: answer.contextVersion,
    etag: answerETag(answer),
    before: json.slice(0, start),
    after: json.slice(json.indexOf(',', start)),
  };
}

const AGE = '"ageSeconds":';

let lastFrame: AnswerFrame | undefined;

/** Most users' answers share one. */
function frameOf(answer: Answer): AnswerFrame {
  if (lastFrame && isFramedBy(answer, lastFrame)) return lastFrame;
  const { predictor, source, reason, modelNumber, variant, generationNumber, history } = answer;
  lastFrame = { predictor, source, reason, modelNumber, variant, generationNumber, history };
  return lastFrame;
}

/** Compares all that predictionView and answerETag read, but for the age and what the held prediction itself decides. */
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

/** Over everything that makes an answer another one; not its age, so that an answer that only grows older is a 304. */
function answerETag(answer: Answer): string {
  return weakETag([
    answer.predictor,
    answer.userId,
    JSON.stringify(answer.prediction),
    answer.source,
    answer.reason,
    answer.contextVersion,
    answer.predictedFromContextVersion,
    answer.history,
    answer.modelNumber,
    answer.variant,
    answer.generationNumber,
  ]);
}
