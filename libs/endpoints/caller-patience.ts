/** The time for which the caller of an HTTP request waits: until the caller closes the connection. */
import type { CallerPatience } from '@tandem/freshness/read-options';
import type { HonoRequest } from 'hono';

export function patienceOf({ raw }: Pick<HonoRequest, 'raw'>): CallerPatience {
  return {
    leftMs: () => Number.POSITIVE_INFINITY,
    onGone(tell) {
      const { signal } = raw;
      if (signal.aborted) tell();
      else signal.addEventListener('abort', tell);
    },
  };
}
