/** The Open Inference Protocol v2: predictors as models that take and return tensors, over HTTP and gRPC. */
import type { Extension } from '@tandem/extension/extension';

/** The most connections over gRPC. They are few, because one connection carries many calls. */
const MOST_OVER_GRPC = 256;

export const openInference: Extension = {
  name: 'open-inference',
  routes: () => import('./routes/routes.ts'),
  ports: [
    {
      name: 'grpc',
      variable: 'GRPC_PORT',
      shareOf: (all) => Math.max(1, Math.min(MOST_OVER_GRPC, all >> 2)),
      load: () => import('./grpc/port.ts'),
    },
  ],
};
