/**
 * The processes that serve, and which model versions they have loaded. A version is given users when every live API has it
 * ready; workers and applications with an embedded reader load it as well, and are listed, but no rollout waits for them.
 */

/** `embedded`: an application that reads predictions in its own process. */
export type ProcessKind = 'api' | 'worker' | 'embedded';

/** `loading`: also of a process that has not heard of the version yet. */
type LoadState = 'loading' | 'ready' | 'failed';

/** A process as it tells of itself. */
export interface ProcessIdentity {
  /** A UUID of its own, another at each start. */
  readonly id: string;
  readonly kind: ProcessKind;
  readonly host: string;
  readonly pid: number;
  readonly release: string;
}

/** How far a process has come with a model version. */
export interface LoadReport {
  readonly modelVersionId: string;
  readonly state: LoadState;
  /** Why it failed; null otherwise. */
  readonly error: string | null;
}

/** One live process and one version. */
export interface VersionReadiness extends LoadReport {
  readonly processId: string;
  readonly kind: ProcessKind;
  readonly host: string;
  readonly pid: number;
  readonly predictor: string;
  /** The version's number, for people. */
  readonly modelNumber: number;
}

/** A live process with what it has loaded, or tried to. */
export interface LiveProcess extends ProcessIdentity {
  /** The number of the freshness protocol that it knows; null for a release that does not report it. */
  readonly protocol: number | null;
  readonly startedAt: Date;
  readonly seenAt: Date;
  readonly versions: readonly (LoadReport & {
    readonly predictor: string;
    readonly modelNumber: number;
    /** When it came into its state. */
    readonly at: Date;
  })[];
}

type MayServe =
  | { readonly ok: true }
  /** Sentences for people: whom it waits for, and what failed where, with the reason. */
  | { readonly ok: false; readonly waiting: readonly string[]; readonly failed: readonly string[] };

/** Whether users may be given to these versions now. Where no API lives there is nobody to wait for. */
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

/** The same as sentences alone, what failed first; none where users may be given to these versions. */
export function whyNotServed(readiness: readonly VersionReadiness[]): readonly string[] {
  const may = mayServe(readiness);
  return may.ok ? [] : [...may.failed, ...may.waiting];
}

/** A process as people tell it from others. */
function nameOf({ kind, host, pid }: Pick<VersionReadiness, 'kind' | 'host' | 'pid'>): string {
  return `${kind} ${pid} on ${host}`;
}

function versionOf({ predictor, modelNumber }: VersionReadiness): string {
  return `model version ${modelNumber} of ${predictor}`;
}
