/** What both transports say of the server, and how they word a refusal. */
import { BINARY_EXTENSION } from '@tandem/open-inference/http-message';
import { RELEASE } from '@tandem/telemetry/release';
import type { ProblemView } from '@tandem/wire/problem';
import type { ReadyDependencies } from '../routes/health/ready.ts';

/** Its metadata over HTTP, which alone has the extension. */
export const SERVER = Object.freeze({ name: 'tandem', version: RELEASE, extensions: [BINARY_EXTENSION] });

export async function isReady({ readiness }: ReadyDependencies): Promise<boolean> {
  return (await readiness.check()).status !== 'not_ready';
}

/** Returns what is wrong, and how to fix it, in one text. */
export function errorText({ detail, remedy }: Pick<ProblemView, 'detail' | 'remedy'>): string {
  return remedy === undefined ? detail : `${detail} To fix it: ${remedy}.`;
}
