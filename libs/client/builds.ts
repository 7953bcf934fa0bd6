/** Optimised builds: a model file as it was uploaded, and a build beside the model version that it was made of. */
import { UnreachableError } from './client-errors.ts';
import type { CallOptions } from './predictions.ts';
import { type RetryOptions, retry } from './retry.ts';
import { answerOf, sha256, type Transport } from './transport.ts';

export interface BuildCalls {
  /** The file of a model version, checked against its SHA-256. `timeoutMs` is for its first byte. */
  artifactFile(artifact: string, options?: CallOptions): Promise<Uint8Array>;
  /** @param version the build's number. Waits where another model is being tried. `timeoutMs` is for one attempt. */
  compareBuild(
    predictor: string,
    version: string,
    comparison?: ComparisonInput,
    options?: CallOptions,
  ): Promise<BuildComparison>;
}

export interface ComparisonInput {
  /** Users to look at, at most; 2,000 where it is not said. */
  readonly users?: number;
  /** What became of users: they alone are looked at. */
  readonly labels?: readonly { readonly userId: string; readonly label: number }[];
}

/** A build beside its parent, on real users. */
export interface BuildComparison {
  readonly predictor: string;
  readonly parent: ComparedVersion;
  readonly build: ComparedVersion;
  /** `asked` for; `read`: whom both can score; `compared`: who got both answers. */
  readonly users: { readonly asked: number; readonly read: number; readonly compared: number };
  readonly outputs: readonly {
    readonly name: string;
    /** Share of users with another answer. */
    readonly changed: number;
    /** Absolute; null: texts. */
    readonly meanDifference: number | null;
    readonly largestDifference: number | null;
    readonly rankCorrelation: number | null;
  }[];
  /** Null: the predictor declares none. */
  readonly decision: {
    readonly output: string;
    readonly threshold: number;
    readonly up: number;
    readonly down: number;
    readonly rate: number;
    readonly low: number;
    readonly high: number;
  } | null;
  readonly labels: {
    readonly output: string;
    readonly users: number;
    readonly figures:
      | { readonly kind: 'classes'; readonly parent: ClassFigures; readonly build: ClassFigures }
      | { readonly kind: 'errors'; readonly parent: ErrorFigures; readonly build: ErrorFigures };
  } | null;
  readonly pace: {
    readonly rounds: number;
    readonly alone: ComparedPace;
    readonly together: ComparedPace & { readonly users: number };
  };
}

export interface ComparedVersion {
  readonly modelVersion: string;
  readonly build: string | null;
  readonly artifact: string;
  readonly bytes: number;
  readonly rowByRow: boolean;
  /** Whether users get the same answers alone and together, were it not pinned; null: fewer than two were tried. */
  readonly rowsAgree: boolean | null;
  readonly largestRowDifference: number | null;
  readonly refused: number;
}

export interface ComparedPace {
  /** Microseconds of a run a user, the median of the rounds. */
  readonly parentUs: number;
  readonly buildUs: number;
  /** How many times as fast as its parent the build is, of the rounds. */
  readonly speedup: { readonly median: number; readonly low: number; readonly high: number };
}

interface ClassFigures {
  /** Null: all labels are one. */
  readonly auc: number | null;
  readonly logLoss: number;
}

interface ErrorFigures {
  readonly meanAbsoluteError: number;
  readonly rootMeanSquaredError: number;
}

/** It takes minutes on a busy machine, and waits for a trial before it. Node's `fetch` waits no longer than this. */
const COMPARISON_MS = 300_000;

export function buildCalls(transport: Transport, patience: RetryOptions): BuildCalls {
  return {
    artifactFile: async (artifact, { signal, timeoutMs } = {}) => {
      const path = `/v1/artifacts/${encodeURIComponent(artifact)}/file`;
      const headers = { accept: 'application/octet-stream, application/problem+json' };
      return retry(patience, signal, async () => {
        const stream = await transport.stream({ path, headers, timeoutMs, signal });
        const bytes = new Uint8Array(await new Response(stream).arrayBuffer().catch((cause) => brokenOff(path, cause)));
        return (await sha256(bytes)) === artifact ? bytes : brokenOff(path);
      });
    },
    compareBuild: async (predictor, version, body = {}, { timeoutMs = COMPARISON_MS, signal } = {}) => {
      const path = `/v1/models/${encodeURIComponent(predictor)}/versions/${encodeURIComponent(version)}/comparison`;
      return retry(patience, signal, () => answerOf(transport, { method: 'POST', path, body, timeoutMs, signal }));
    },
  };
}

function brokenOff(path: string, cause?: unknown): never {
  throw new UnreachableError(path, false, 'the file came damaged, or not as a whole', cause);
}
