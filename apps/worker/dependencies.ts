/** Builds what a worker works with, from the environment, and closes it in reverse. */
import type {
  DatabaseSection,
  InferenceSection,
  RedisSection,
  WorkerSection,
} from '@tandem/config/environment-sections';
import { latestSlot } from '@tandem/config/schedule';
import { createInferencePool } from '@tandem/inference/pool';
import { createPool } from '@tandem/offline-store/database';
import { createFeatureSource } from '@tandem/offline-store/features';
import { createRegistry } from '@tandem/offline-store/registry';
import { createOnlineConnection } from '@tandem/online-store/connection';
import { createGenerationLoader } from '@tandem/online-store/generation-loader';
import { createGenerationSweeper } from '@tandem/online-store/generation-sweeper';
import { createHintStore } from '@tandem/online-store/hint-store';
import { createOverlayStore } from '@tandem/online-store/overlay-store';
import { createQueue } from '@tandem/queue/enqueue';
import type { EventName, Log } from '@tandem/telemetry/log';
import { createMetrics } from '@tandem/telemetry/metrics';
import { createRunHints } from './hints.ts';
import type { WorkerDependencies } from './worker.ts';
import type { WorkerProcessSection } from './worker-section.ts';

export interface WorkerEnvironment {
  readonly database: DatabaseSection;
  readonly redis: RedisSection;
  readonly inference: InferenceSection;
  readonly worker: WorkerSection;
  readonly workerProcess: WorkerProcessSection;
}

export interface BuiltDependencies extends WorkerDependencies {
  close(): Promise<void>;
}
