/**
 * An extension: a capability in one workspace, which the core does not import. Each app has a list of extensions and
 * loads only the parts that it uses. Deleting the folder and its lines in the lists leaves a working service.
 */
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Cli } from '@tandem/commands/command';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import type { PredictionReader, Registry } from '@tandem/freshness/reader';
import type { KeyType } from '@tandem/freshness/user-id';
import type { Pool } from '@tandem/offline-store/sql/database';
import type { OnAnswer } from '@tandem/reading/observe-answers';
import type { Metrics } from '@tandem/telemetry/metrics';

/** An extension. Each part is a module that an app loads at its start. */
export interface Extension {
  /** The name of the folder, such as `outcomes`. */
  readonly name: string;
  readonly routes?: () => Promise<RoutesPart>;
  readonly commands?: () => Promise<CommandsPart>;
}

/** The part for the API. */
export interface RoutesPart {
  /** Returns the endpoints. Opens nothing: it is also called to describe the API, with a host that has no stores. */
  readonly routes: (host: ApiHost) => readonly Endpoint[];
}

/** The part for the command line. */
export interface CommandsPart {
  /** Commands at the top level, such as `tandem outcome`. */
  readonly commands: readonly ((cli: Cli) => CommandUnknownOpts)[];
}

/** The dependencies that the API gives to routes of extensions. */
export interface ApiHost {
  /** The connections of requests. */
  readonly pool: Pool;
  /** The most milliseconds that an acknowledgement of a write waits. */
  readonly acknowledgeWithinMs: number;
  readonly metrics: Metrics;
  /** Reads certified predictions. */
  readonly readPrediction: PredictionReader;
  readonly registry: Registry;
  readonly onAnswer: OnAnswer;
  /** Returns the key type of the service; null until a first config is adopted. */
  keyType(): Promise<KeyType | null>;
}
