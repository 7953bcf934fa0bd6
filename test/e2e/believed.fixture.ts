/**
 * Checks answers while no user changes. Every fresh answer must show the current count in the application's table, and
 * no answer may be of a lost history.
 */
import { expect } from 'vitest';
import { certified } from './certified.fixture.ts';
import { COUNT, changeSilently, type Pool } from './counts.fixture.ts';
import { type Api, PATIENT } from './deployment.fixture.ts';

const USERS_A_CALL = 500;

/** Reads every user from every API, and checks the answers. Returns the number of answers of each source. */
export async function expectAllTrue(pool: Pool, apis: readonly Api[]): Promise<Readonly<Record<string, number>>> {
  const { rows } = await pool.query<{ id: string; changes: number }>(
    'select user_id::text as id, changes from counts order by user_id',
  );
  const sources: Record<string, number> = {};
  for (const { client } of apis) {
    for (let first = 0; first < rows.length; first += USERS_A_CALL) {
      const users = rows.slice(first, first + USERS_A_CALL);
      const userIds = users.map(({ id }) => id);
      const results = await certified(() => client.predictMany(COUNT, userIds));
      const wrong = results.filter(({ answer }, i) => !isTrue(answer, users[i]?.changes));
      expect(wrong).toEqual([]);
      for (const { answer } of results) sources[answer?.source ?? ''] = (sources[answer?.source ?? ''] ?? 0) + 1;
    }
  }
  return sources;
}

type Answer = Awaited<ReturnType<Api['client']['predictMany']>>[number]['answer'];

/** Returns whether an answer is right. A stale answer is wrong, because no store has failed. */
function isTrue(answer: Answer, changes: number | undefined): boolean {
  return answer !== null && ['batch', 'live'].includes(answer.source) && answer.prediction.score === changes;
}

/** Changes the user `times` times, and sends one event. Returns the event's token. */
export async function change(pool: Pool, { client }: Api, userId: string, times: number): Promise<string> {
  for (let i = 0; i < times; i++) await changeSilently(pool, userId);
  const [result] = await client.sendEvents([{ subject: userId, type: 'changed' }], PATIENT);
  return result?.contextToken ?? '';
}

/** Returns the score of a fresh answer. Rejects if the answer is not fresh. */
export async function readFresh({ client }: Api, userId: string): Promise<number> {
  const { answer } = await certified(() => client.predict(COUNT, userId));
  expect(['batch', 'live']).toContain(answer.source);
  return Number(answer.prediction.score);
}

/** Expects that a read with a token of another history is rejected. */
export async function expectTokenRefused({ client }: Api, userId: string, token: string): Promise<void> {
  const refused = certified(() => client.predict(COUNT, userId, { minContext: token }));
  await expect(refused).rejects.toMatchObject({ status: 409, code: 'history_changed' });
}
