/**
 * An extension: a capability in one workspace, which the core does not import. Each app has a list of extensions and
 * loads only the parts that it uses. Deleting the folder and its lines in the lists leaves a working service.
 */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Cli } from '@tandem/commands/command';
import type { AnswerMany } from '@tandem/endpoints/answer-many';
import type { Endpoint, ServeOptions } from '@tandem/endpoints/endpoint';
import type { Authority } from '@tandem/freshness/certificate';
import type { Predictor } from '@tandem/freshness/predictor';
import type { PredictionReader, Registry } from '@tandem/freshness/reader';
import type { KeyType } from '@tandem/freshness/user-id';
import type { HttpServer } from '@tandem/http-server/server';
import type { Infer } from '@tandem/inference/live/infer-request';
import type { listModelVersions, VersionQuery } from '@tandem/offline-store/models/model-versions';
import type { Pool } from '@tandem/offline-store/sql/database';
import type { RunHints, RunStore } from '@tandem/prediction/runs/run-store';
import type { Confirming } from '@tandem/prediction/runs/withdrawals';
import type { OnAnswer, OpenObserver } from '@tandem/reading/observe-answers';
import type { Log } from '@tandem/telemetry/log';
import type { Metrics } from '@tandem/telemetry/metrics';
import type { WideEvent } from '@tandem/telemetry/wide-event';

/** An extension. Each part is a module that an app loads at its start. */
export interface Extension {
  /** The name of the folder, such as `outcomes`. */
  readonly name: string;
  readonly routes?: () => Promise<RoutesPart>;
  readonly commands?: () => Promise<CommandsPart>;
  readonly jobs?: () => Promise<JobsPart>;
  readonly observe?: () => Promise<ObservePart>;
  readonly ports?: readonly ExtensionPort[];
}

/** A further port of the API. The API listens on it only if its variable is set. */
export interface ExtensionPort {
  /** The name in the log, such as `grpc`. */
  readonly name: string;
  /** The environment variable of the port, such as `GRPC_PORT`. */
  readonly variable: string;
  /**
   * Returns the most connections to the port. The API's own port accepts that many fewer.
   * @param all the most connections of the process
   */
  shareOf(all: number): number;
  readonly load: () => Promise<PortPart>;
}

/** The part for a further port. */
export interface PortPart {
  /** Starts the server. Rejects with Node's error if it cannot listen on the address. */
  readonly start: (host: PortHost, address: PortAddress) => Promise<HttpServer>;
}

export interface PortAddress {
  readonly host: string;
  /** The port; 0 for any free port. */
  readonly port: number;
  /** The most open connections. */
  readonly connections: number;
}

/** The dependencies that the API gives to servers of further ports. They include its log, metrics and access control. */
export interface PortHost extends ApiHost, ServeOptions {}

/** The part for the API. */
export interface RoutesPart {
  /** Tags of the endpoints that the core does not have, for the OpenAPI document. */
  readonly tags?: readonly ApiTag[];
  /** Returns the endpoints. Opens nothing: it is also called to describe the API, with a host that has no stores. */
  readonly routes: (host: ApiHost) => readonly Endpoint[];
}

export interface ApiTag {
  readonly name: string;
  readonly description: string;
}

/** The part for the command line. */
export interface CommandsPart {
  /** Commands at the top level, such as `tandem outcome`. */
  readonly commands: readonly ((cli: Cli) => CommandUnknownOpts)[];
}

/** The part for processes that answer reads. */
export interface ObservePart {
  readonly observers: readonly OpenObserver[];
}

/** The part for the worker. */
export interface JobsPart {
  readonly rounds: (host: WorkerHost) => readonly Round[];
}

/** A loop of every worker. */
export interface Round {
  /** The name in logs and metrics. */
  readonly name: string;
  /** Milliseconds between two rounds. */
  readonly everyMs: number;
  /** Runs a round. A rejection is a failed round, which the next one repeats. */
  run(): Promise<RoundReport>;
}

export interface RoundReport {
  /** Counts of work done, by name. */
  readonly done?: Readonly<Record<string, number>>;
  /** Failed steps; the other steps succeeded. */
  readonly errors?: readonly string[];
}

/** The dependencies that the worker gives to rounds of extensions. */
export interface WorkerHost {
  readonly pool: Pool;
  readonly runs: RunStore;
  readonly hints: RunHints;
  /** Runs a call. If it withdrew predictions, tells Redis the count of withdrawals; a later round repeats a failure. */
  readonly confirming: Confirming;
  /** Returns why these model versions may not be served yet, as sentences that name processes. */
  whyNotServed(modelVersionIds: readonly string[]): Promise<readonly string[]>;
  readonly log: Log;
}

/** The dependencies that the API gives to routes of extensions. */
export interface ApiHost {
  /** The connections of requests. */
  readonly pool: Pool;
  /** The most milliseconds that an acknowledgement of a write waits. */
  readonly acknowledgeWithinMs: number;
  readonly registry: Pick<Registry, 'predictor' | 'modelVersion'>;
  readonly authority: Pick<Authority, 'certify'>;
  readonly runs: RunStore;
  readonly metrics: Metrics;
  /** Reads certified predictions. */
  readonly readPrediction: PredictionReader;
  readonly onAnswer: OnAnswer;
  /** Runs a call. If it withdrew predictions, resolves only once Redis has the count of withdrawals. */
  readonly confirming: Confirming;
  /** Notifies a worker of a run, within a time limit. A failure is only added to the event. */
  hintRun(runId: string, event: WideEvent): Promise<void>;
  /** Rejects with `unknown_user` if a user has neither a stored prediction nor a feature row. */
  requireKnown(predictor: Predictor, userId: string): Promise<void>;
  /** Returns the key type of the service; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
  /** Reads many users, as `POST /v1/predictions/{predictor}` does. */
  readonly answerMany: AnswerMany;
  /** Infers in the queue of live reads. */
  readonly infer: Infer;
  /** The model versions that are stored. */
  readonly models: { list(query?: VersionQuery): ReturnType<typeof listModelVersions> };
  readonly readiness: { check(): Promise<{ readonly status: 'ready' | 'degraded' | 'not_ready' }> };
}
