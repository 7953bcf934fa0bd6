/** Loads the models in force, so that a live read does not wait for it. What cannot be loaded now is loaded when needed. */
import { setTimeout as pause } from 'node:timers/promises';
import type { InferencePool } from '@tandem/inference/pool';
import type { StoredRegistry } from '@tandem/offline-store/registry';
import type { Authority } from '@tandem/prediction/certificate';
import type { Log } from '@tandem/telemetry/log';
import { serialiseRefusal } from '@tandem/telemetry/serialise-error';

export interface WarmUpDependencies {
  readonly registry: Pick<StoredRegistry, 'predictors' | 'modelVersion'>;
  readonly authority: Authority;
  readonly scorer: Pick<InferencePool, 'warmUp'>;
}

/**
 * Rejects where Postgres does not answer, or a model cannot be loaded.
 * @param most predictors, whose models are loaded; all by default
 */
export async function warmUp({ registry, authority, scorer }: WarmUpDependencies, most?: number): Promise<void> {
  const certificate = await authority.certify([]);
  // Behind the certificate, which tells the registry of adoptions: this is asked again until there is something to load.
  for (const { name } of (await registry.predictors()).slice(0, most)) {
    const assignment = certificate.assignments(name)?.stable;
    if (assignment) await scorer.warmUp(await registry.modelVersion(assignment.modelVersionId));
  }
}

export interface WarmingUp {
  /** Resolves with the first attempt, whether it succeeded or not. */
  readonly first: Promise<void>;
  stop(): Promise<void>;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** Tries until it succeeds: a database that was busy at the start must not leave the first readers to wait for a model. */
export function keepWarmingUp(attempt: () => Promise<void>, log: Pick<Log, 'warn'>): WarmingUp {
  const stopped = new AbortController();
  const { signal } = stopped;
  const isDone = () =>
    attempt().then(
      () => true,
      (error: unknown) => {
        log.warn('inference.not_warmed', { error: serialiseRefusal(error) });
        return signal.aborted;
      },
    );
  async function again(isFirstDone: boolean): Promise<void> {
    let isOver = isFirstDone;
    for (let pauseMs = FIRST_PAUSE_MS; !isOver; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      await pause(pauseMs, undefined, { signal }).catch(() => {});
      isOver = signal.aborted || (await isDone());
    }
  }
  const first = isDone();
  const ended = first.then(again);
  return {
    first: first.then(() => {}),
    stop() {
      stopped.abort();
      return ended;
    },
  };
}
