/**
 * Whether this process should be sent requests: what it depends on, part by part. Parts are checked together, each
 * within a time limit, and once for all who ask at the same moment.
 */

/** Something that the service depends on. */
export interface Part {
  readonly name: string;
  /** Without it nothing can be answered; without the others, answers come slower. */
  readonly isEssential: boolean;
  /** Resolves where the part works; rejects otherwise. */
  check(): Promise<void>;
}

export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'not_ready';
  readonly parts: readonly { readonly name: string; readonly status: 'ok' | 'failed' | 'draining' }[];
}

export interface ReadinessChecker {
  check(): Promise<Readiness>;
  /** From now on not ready: the process is about to end. */
  drain(): void;
}

export interface ReadinessDependencies {
  readonly parts: readonly Part[];
  readonly timeoutMs?: number;
  /** Told of each part that begins to fail, with the reason, which the answer does not show. */
  onFailed(name: string, error: unknown): void;
  /** Told of each part that works again. */
  onMended(name: string): void;
}

export function createReadiness({
  parts,
  timeoutMs = 1_000,
  onFailed,
  onMended,
}: ReadinessDependencies): ReadinessChecker {
  const failing = new Set<string>();
  let isDraining = false;
  let underWay: Promise<Readiness> | undefined;

  async function statusOf({ name, check }: Part) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      await Promise.race([check(), late]);
      if (failing.delete(name)) onMended(name);
      return { name, status: 'ok' as const };
    } catch (error) {
      if (!failing.has(name)) onFailed(name, error);
      failing.add(name);
      return { name, status: 'failed' as const };
    } finally {
      clearTimeout(timer);
    }
  }

  async function checkAll(): Promise<Readiness> {
    const found = await Promise.all(parts.map(statusOf));
    const failed = parts.filter((_, i) => found[i]?.status === 'failed');
    const status = failed.some((part) => part.isEssential) ? 'not_ready' : failed.length > 0 ? 'degraded' : 'ready';
    return { status, parts: found };
  }

  return {
    async check() {
      if (isDraining) return { status: 'not_ready', parts: [{ name: 'process', status: 'draining' }] };
      underWay ??= checkAll().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
    drain() {
      isDraining = true;
    },
  };
}
