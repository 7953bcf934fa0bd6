/** The settings of an API. */
import type { ReadingSettings } from '@tandem/embedded/open-reading';
import type { Part } from '@tandem/embedded/prove-database';
import type { Extension } from '@tandem/extension/extension';
import type { HostRule } from '@tandem/http-server/foreign-request';
import type { KeyMode } from '../keys/choose-mode.ts';

export interface ApiSettings extends Omit<ReadingSettings, 'kind' | 'live'> {
  /** `connections`: the total of all pools. */
  readonly database: ReadingSettings['database'] & { readonly connections?: number };
  readonly redis: ReadingSettings['redis'] & { readonly queueUrl: string };
  /** The total size of uploaded files that no model version uses; absent: a default. */
  readonly uploads?: { readonly megabytes: number };
  /** Default: those of the API's list. */
  readonly extensions?: readonly Extension[];
  readonly servesMetrics: boolean;
  /** API keys; absent: off. */
  readonly keys?: KeyMode;
  /** Time in which runs should end, for the metric of needed workers; absent: one hour. */
  readonly runDeadlineMs?: number;
  /** Milliseconds between two checks for changed keys. */
  readonly keysEveryMs?: number;
  /** Returns whether a Host header names this service. */
  readonly isOurHost: HostRule;
  /** Further parts of the service's readiness. */
  readonly parts?: readonly Part[];
  /** Share of successful requests that are logged, 0 to 1. */
  readonly logShare?: number;
}
