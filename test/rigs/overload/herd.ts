/** Sends many reads at once of one user whose context has just changed. */
import { createClient } from '@tandem/client/create-client';
import { getRequest, openConnection } from './exchange.ts';
import { LENIENT } from './slow-predictors.ts';
import { kindOf } from './tally.ts';

export interface Herd {
  /** Answers by kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** The number of different inferences in the answers, counted by `computedAt`. */
  readonly inferences: number;
}

export async function sendHerd(url: string, port: number, readers: number, userId: string): Promise<Herd> {
  await createClient({ url, source: 'herd' }).sendEvents([{ type: 'changed', subject: userId }]);
  const kinds: Record<string, number> = {};
  const moments = new Set<string>();
  const request = getRequest(`/v1/predictions/${LENIENT}/${userId}`);
  const connections = Array.from({ length: readers }, () => openConnection('127.0.0.1', port));
  const read = (one: (typeof connections)[number]) =>
    new Promise<void>((resolve) => {
      one.ask(request, (answer) => {
        const kind = kindOf(answer ?? 'reset');
        kinds[kind] = (kinds[kind] ?? 0) + 1;
        if (answer && kind === 'live') moments.add(/"computedAt":"([^"]+)"/.exec(answer.body)?.[1] ?? '?');
        one.end();
        resolve();
      });
    });
  await Promise.all(connections.map(read));
  return { kinds, inferences: moments.size };
}
