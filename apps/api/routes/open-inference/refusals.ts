/** Rejections in the form of the Open Inference Protocol: the error as a text, and the stable type of the problem. */
import { InferenceErrorSchema } from '@tandem/wire/open-inference';
import type { ProblemView } from '@tandem/wire/problem';
import { jsonResponse } from '../../http/body.ts';
import type { RefusalForm } from '../../http/describe-problems.ts';
import { errorText } from '../../open-inference/open-server.ts';

function errorView(problem: ProblemView) {
  const { type, field } = problem;
  return { error: errorText(problem), type, ...(field === undefined ? {} : { field }) };
}

export const INFERENCE_ERRORS: RefusalForm = {
  respond: ({ problem, headers }) => jsonResponse(errorView(problem), problem.status, headers),
  type: 'application/json',
  schema: InferenceErrorSchema,
  view: errorView,
};
