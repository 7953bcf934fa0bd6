import type { ApiTag, RoutesPart } from '@tandem/extension/extension';
import { createOpenModels } from '../models/open-models.ts';
import { inferTensors } from './infer.ts';
import { showInferenceHealth } from './show-health.ts';
import { showInferenceModel } from './show-model.ts';
import { showInferenceServer } from './show-server.ts';

export const tags: readonly ApiTag[] = [
  { name: 'inference', description: 'The Open Inference Protocol v2, for clients of KServe and Triton' },
];

export const routes: RoutesPart['routes'] = (host) => {
  const findOpenModel = createOpenModels(host);
  return [
    ...showInferenceServer(),
    ...showInferenceHealth(host),
    ...showInferenceModel({ ...host, findOpenModel }),
    ...inferTensors({ findOpenModel }),
  ];
};
