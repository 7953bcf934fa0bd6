/**
 * The serving processes, and the model versions that each has loaded. A version serves users when every live API has it
 * ready. Workers and applications with an embedded reader load the version, too, and are listed, but no rollout waits
 * for them.
 */

/** `embedded`: an application that reads predictions in its own process. */
export type ProcessKind = 'api' | 'worker' | 'embedded';

/** `loading` includes a process that does not know the version yet. */
type LoadState = 'loading' | 'ready' | 'failed';

/** A process, as it describes itself. */
export interface ProcessIdentity {
  /** A UUID, new at each start. */
  readonly id: string;
  readonly kind: ProcessKind;
  readonly host: string;
  readonly pid: number;
  readonly release: string;
}

/** The state of a model version in a process. */
export interface LoadReport {
  readonly modelVersionId: string;
  readonly state: LoadState;
  /** The reason of a failure; null otherwise. */
  readonly error: string | null;
}

/** One live process and one version. */
export interface VersionReadiness extends LoadReport, Pick<ProcessIdentity, 'kind' | 'host' | 'pid'> {
  readonly processId: string;
  readonly predictor: string;
  /** The version's number for people. */
  readonly modelNumber: number;
}

/** A live process with the versions that it has loaded, or tried to load. */
export interface LiveProcess extends ProcessIdentity {
  /** The number of the freshness protocol that the process knows; null for a release that does not report it. */
  readonly protocol: number | null;
  readonly startedAt: Date;
  readonly seenAt: Date;
  readonly versions: readonly (LoadReport & {
    readonly predictor: string;
    readonly modelNumber: number;
    /** The time at which the version entered its state. */
    readonly at: Date;
  })[];
}

type MayServe =
  | { readonly ok: true }
  /** Sentences for operators: the processes that the rollout waits for, and failures with their reasons. */
  | { readonly ok: false; readonly waiting: readonly string[]; readonly failed: readonly string[] };

/** Returns whether users may be assigned to these versions now. Without a live API there is nothing to wait for. */
export function mayServe(readiness: readonly VersionReadiness[]): MayServe {
  const open = readiness.filter(({ kind, state }) => kind === 'api' && state !== 'ready');
  if (open.length === 0) return { ok: true };
  const of = (wanted: LoadState) => open.filter(({ state }) => state === wanted);
  return {
    ok: false,
    waiting: of('loading').map((one) => `${nameOf(one)} has not loaded ${versionOf(one)} yet`),
    failed: of('failed').map((one) => `${nameOf(one)} cannot load ${versionOf(one)}: ${one.error}`),
  };
}

/** Returns only the sentences, failures first; empty if users may be assigned to these versions. */
export function whyNotServed(readiness: readonly VersionReadiness[]): readonly string[] {
  const may = mayServe(readiness);
  return may.ok ? [] : [...may.failed, ...may.waiting];
}

/** Returns a process's name for people. */
function nameOf({ kind, host, pid }: Pick<VersionReadiness, 'kind' | 'host' | 'pid'>): string {
  return `${kind} ${pid} on ${host}`;
}

function versionOf({ predictor, modelNumber }: VersionReadiness): string {
  return `model version ${modelNumber} of ${predictor}`;
}
