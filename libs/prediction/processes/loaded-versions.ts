/**
 * Loads the model versions that this process may need for its answers, keeps them loaded, and reports its progress to
 * other processes. Two loops run independently. One sends a heartbeat every few seconds, which returns the wanted
 * versions. The other loads these versions and retries failed ones. While the database is unreachable, the last known
 * versions apply.
 */
import type { ModelVersion } from '@tandem/freshness/predictor';
import { OneAtATime } from '@tandem/timing/one-at-a-time';
import { repeat } from '@tandem/timing/repeat';
import type { LoadReport } from './processes.ts';

/** A version that an arm of an active predictor names, or that a caller has requested for a limited time. */
export interface WantedVersion {
  readonly modelVersionId: string;
  /** Whether the version serves users now. It does not while its rollout is being prepared. */
  readonly isServed: boolean;
  /** Whether it is the version of a rollout's arm, so that its failures must not affect other versions. */
  readonly isTried: boolean;
}

/** Port: the register of live processes. */
export interface ProcessRegister {
  /**
   * Sends a heartbeat with the loaded versions of this process. Returns the versions that it should load, served
   * versions first.
   */
  beat(reports: readonly LoadReport[]): Promise<readonly WantedVersion[]>;
  /** Removes this process from the register. It is not called again afterwards. */
  leave(): Promise<void>;
}

/** The outcome of loading a version into all inference children of a process. */
export interface LoadOutcome {
  readonly modelVersionId: string;
  /** Why a child could not load it; null if every child did. */
  readonly error: string | null;
}

interface KeepLoadedParts {
  readonly register: ProcessRegister;
  /** Reads the definition of a version. Rejects if it cannot be read. */
  modelVersion(id: string): Promise<ModelVersion>;
  /**
   * Loads exactly these versions into each inference child, and warms them up. Resolves when all have been tried.
   * Another call costs little if nothing has changed; a failed version is retried after its pause.
   * @param tried the ids of rollouts' versions
   */
  load(versions: readonly ModelVersion[], tried: ReadonlySet<string>): Promise<readonly LoadOutcome[]>;
  /** Receives each change of a version's state. */
  onReport?(report: LoadReport): void;
  /** Called with the error when the register begins to fail, and with null when it answers again. */
  onSilence?(error: unknown): void;
  /** The milliseconds between two heartbeats. */
  readonly everyMs?: number;
}

const BEAT_MS = 2_000;

export type KeptVersions = ReturnType<typeof keepLoaded>;

export function keepLoaded(parts: KeepLoadedParts) {
  const { register, everyMs = BEAT_MS, onSilence = () => {} } = parts;
  const loads = createLoads(
    { ...parts, onReport: (report) => isClosed || parts.onReport?.(report) },
    () => void beat(),
  );
  let wanted: readonly WantedVersion[] | null = null;
  let isSilent = false;
  let isClosed = false;
  const line = new OneAtATime();

  /** Sends a heartbeat after the current one has ended. Never rejects. */
  function beat(): Promise<void> {
    return line.run(async () => {
      if (isClosed) return;
      try {
        wanted = await register.beat(loads.reports());
        if (isSilent) onSilence(null);
        isSilent = false;
        loads.want(wanted);
      } catch (error) {
        if (!isSilent && !isClosed) onSilence(error);
        isSilent = true;
      }
    });
  }

  const served = () => (wanted ?? []).filter(({ isServed }) => isServed).map(({ modelVersionId }) => modelVersionId);
  const beats = repeat(everyMs, beat);
  const started = beats.started.then(() => loads.tried());
  return {
    /** Resolves when the first wanted versions have been tried, or when the register did not answer. */
    started,
    /** Returns the versions that serve users, in the order in which they are loaded. */
    served,
    /** Returns whether each child has loaded the version. */
    isLoaded: (id: string): boolean => loads.isReady(id),
    /** Throws with the reason if a version that serves users is not loaded. */
    assertServed(): void {
      if (wanted === null) throw new Error('the served model versions are not known yet');
      for (const id of served()) loads.assertReady(id);
    },
    /** Removes the process from the register. Does not wait for running loads. */
    async close(): Promise<void> {
      isClosed = true;
      await beats.stop();
      await line.run(async () => {});
      // If the register cannot be reached, other processes detect the end by the missing heartbeat.
      await register.leave().catch(() => {});
    },
  };
}

type LoadsParts = Pick<KeepLoadedParts, 'modelVersion' | 'load'> & { onReport(report: LoadReport): unknown };

/**
 * Creates the loop that loads versions.
 * @param onChange called when a version has become ready or has failed
 */
function createLoads({ modelVersion, load: loadVersions, onReport }: LoadsParts, onChange: () => void) {
  let wanted: readonly string[] = [];
  let tried: ReadonlySet<string> = new Set();
  let known: ReadonlyMap<string, LoadReport> = new Map();
  let isAsked = false;
  let underWay: Promise<void> | null = null;

  async function load(): Promise<void> {
    while (isAsked) {
      isAsked = false;
      const found = await loadAll(wanted, modelVersion, (versions) => loadVersions(versions, tried));
      const before = known;
      // A version that is no longer wanted is not reported, even if it was loaded.
      known = new Map(
        wanted.flatMap((id) => found.get(id) ?? before.get(id) ?? []).map((one) => [one.modelVersionId, one]),
      );
      const changed = [...known.values()].filter((one) => !isSame(one, before.get(one.modelVersionId)));
      for (const report of changed) onReport(report);
      if (changed.length > 0) onChange();
    }
  }

  const reportOf = (id: string): LoadReport => known.get(id) ?? { modelVersionId: id, state: 'loading', error: null };
  return {
    /** Sets the wanted versions. Each call retries failed versions after their pause. */
    want(versions: readonly WantedVersion[]): void {
      wanted = versions.map(({ modelVersionId }) => modelVersionId);
      tried = new Set(versions.filter(({ isTried }) => isTried).map(({ modelVersionId }) => modelVersionId));
      isAsked = true;
      underWay ??= load().finally(() => {
        underWay = null;
      });
    },
    reports: (): readonly LoadReport[] => wanted.map(reportOf),
    /** Resolves when all wanted versions have been tried. */
    tried: (): Promise<void> => underWay ?? Promise.resolve(),
    isReady: (id: string): boolean => known.get(id)?.state === 'ready',
    assertReady(id: string): void {
      const { state, error } = reportOf(id);
      if (state !== 'ready') throw new Error(`model version ${id} is not loaded: ${error ?? 'it is being loaded'}`);
    },
  };
}

/**
 * Loads all versions. Never rejects: a version that cannot be read counts as failed, like a version that cannot be
 * loaded.
 */
async function loadAll(
  ids: readonly string[],
  modelVersion: KeepLoadedParts['modelVersion'],
  load: (versions: readonly ModelVersion[]) => ReturnType<KeepLoadedParts['load']>,
): Promise<ReadonlyMap<string, LoadReport>> {
  const reports = new Map<string, LoadReport>();
  const note = (modelVersionId: string, error: string | null) =>
    reports.set(modelVersionId, { modelVersionId, state: error === null ? 'ready' : 'failed', error });
  const versions: ModelVersion[] = [];
  const found = await Promise.allSettled(ids.map(modelVersion));
  for (const [i, id] of ids.entries()) {
    const one = found[i];
    if (one?.status === 'fulfilled') versions.push(one.value);
    else note(id, textOf(one?.reason));
  }
  try {
    for (const { modelVersionId, error } of await load(versions)) note(modelVersionId, error);
  } catch (error) {
    for (const { id } of versions) note(id, textOf(error));
  }
  return reports;
}

function isSame(one: LoadReport, other: LoadReport | undefined): boolean {
  return one.state === other?.state && one.error === other.error;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
