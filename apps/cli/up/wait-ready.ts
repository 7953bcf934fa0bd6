/** Waits until the API says that it can answer. */
import { CommandFailure } from '../command-line/failure.ts';

export interface ReadyParts {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly withinMs: number;
}

const ASK_EVERY_MS = 100;
const ANSWER_WITHIN_MS = 2_000;

/** Rejects with what `/readyz` said last when the time is over. */
export async function waitUntilReady({ url, signal, now, sleep, withinMs }: ReadyParts): Promise<void> {
  const end = now() + withinMs;
  for (;;) {
    const said = await ask(`${url}/readyz`, signal);
    if (said === undefined) return;
    signal.throwIfAborted();
    if (now() > end) {
      throw new CommandFailure(`the API was not ready within ${Math.round(withinMs / 1000)} s: ${said}`, {
        remedy: 'its log says more: .tandem/logs/api.log',
      });
    }
    await sleep(ASK_EVERY_MS, signal);
  }
}

/** What keeps it from being ready; undefined when it is. */
async function ask(url: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]) });
    const text = await response.text();
    return response.ok ? undefined : `HTTP ${response.status} ${text.slice(0, 300)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
