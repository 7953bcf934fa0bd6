/**
 * Observers of answers: parts of a process that are notified of each answered user, such as counts of demand. An
 * extension brings its observers; a process opens those of its list.
 */
import type { ReadResult } from '@tandem/freshness/answer';
import type { Assignments } from '@tandem/freshness/certificate';
import type { Predictor } from '@tandem/freshness/predictor';
import type { StoredRegistry } from '@tandem/offline-store/models/registry';
import type { Pool } from '@tandem/offline-store/sql/database';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';

/** The result of one user in an answered read. */
interface AnsweredUser {
  readonly predictor: Predictor;
  readonly userId: string;
  readonly result: ReadResult;
  /** The duration of the whole read, in ms. */
  readonly ms: number;
  /** The source of the features: the predictor's query, the request, or the candidates of a ranking. */
  readonly features: 'stored' | 'request' | 'candidates';
}

/** Notifies all observers of an answered user. It never throws and never waits. */
export type OnAnswer = (answered: AnsweredUser) => void;

export interface AnswerObserver {
  readonly onAnswer: OnAnswer;
  /** Writes what the observer still has in memory. */
  close(): Promise<unknown> | undefined;
  /** Sets metrics at each scrape. */
  readonly sample?: () => void;
}

/** The dependencies that a reading process gives to observers. */
export interface ReadingHost {
  readonly pool: Pool;
  /** Connections for work after replies; absent in an application with an embedded reader. */
  readonly afterReplies?: { readonly pool: Pool; readonly features: Pool } | undefined;
  readonly registry: StoredRegistry;
  /** Returns the last known assignments of a predictor. */
  assignments(predictor: string): Assignments | undefined;
  /** Returns whether this process may infer live with a version. */
  mayInfer(modelVersionId: string): boolean;
  /** The memory limit of an inference child, in MB. */
  readonly childMemoryMb: number;
  /** One time limit in ms for all stores, in place of the default of each. */
  readonly limitMs: number | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
}

export type OpenObserver = (host: ReadingHost) => AnswerObserver;

/**
 * Opens the observers. Returns the function that notifies them, and their samples.
 * @param opened resources to close at the end; this function adds those of the observers
 */
export function openObservers(list: readonly OpenObserver[], host: ReadingHost, opened: (() => unknown)[]) {
  const observers = list.map((open) => open(host));
  for (const observer of observers) opened.push(() => observer.close());
  const onAnswer: OnAnswer = (answered) => {
    for (const observer of observers) observer.onAnswer(answered);
  };
  return { onAnswer, answerSamples: observers.flatMap(({ sample }) => sample ?? []) };
}
