/** Readmissions of erased users whose watched rows are being changed. */
import { setTimeout as pause } from 'node:timers/promises';
import { createLeakFinder } from '../checker/leaks.ts';
import { monotonicNow } from '../history.ts';
import { untilAcknowledged } from '../load/erasers.ts';
import { createHttpCaller } from '../load/http-caller.ts';
import { DEADLINES } from '../load/learn-contract.ts';
import { createDice } from '../load/load-parts.ts';
import { inTransaction, nextNumber } from '../load/shared-row-writers.ts';
import type { Stage } from '../rig/session.ts';
import type { NamedFault } from './fault.ts';

/** Users who share rows. The load reads them often, and does not erase them. Each has an order and an item that only this fault changes. */
const USERS = Array.from({ length: 10 }, (_, i) => 2 * i + 2);
/** The time in which readers meet a user who is readmitted while the change is open, and then after the commit. */
const OPEN_MS = 400;
const READ_MS = 600;

export const readmittedUsers: readonly NamedFault[] = [
  {
    name: 'readmitted-under-open-write',
    what: `${USERS.length} times, an erased user is readmitted while a transaction that changes the user's item is open`,
    needs: 'watched tables',
    expected:
      'if the transaction has raised its users, the readmission waits; otherwise the commit raises the version. Reads after both show the change',
    run: readmitUnderWrites,
  },
];

async function readmitUnderWrites({ rig, sink, random, fault }: Stage): Promise<void> {
  const caller = createHttpCaller(createLeakFinder([]));
  const apis = rig.apis.map(({ name, url }) => ({ name, url: url ?? '' }));
  const dice = createDice(random);
  const ask = (act: 'erase' | 'readmit', user: number) =>
    untilAcknowledged({ apis, caller, sink, deadlines: DEADLINES, isStopping: () => false }, dice, act, String(user));
  await giveItems(rig.pool);
  try {
    await fault(
      { name: 'readmissions under open writes' },
      {
        inject: async () => {},
        async hold() {
          for (const user of USERS) {
            await ask('erase', user);
            await readmitWhileOpen({ rig, sink }, user, dice.below(2) === 0, () => ask('readmit', user));
            await pause(READ_MS);
          }
        },
        lift: async () => {},
      },
    );
  } finally {
    caller.close();
  }
}

/** @param isRaised whether the transaction raises its users before it commits, and locks them until then */
async function readmitWhileOpen(
  { rig, sink }: Pick<Stage, 'rig' | 'sink'>,
  user: number,
  isRaised: boolean,
  readmit: () => Promise<boolean>,
): Promise<void> {
  const at = monotonicNow();
  let readmitting: Promise<boolean> | undefined;
  const values = await inTransaction(rig.pool, false, async (client) => {
    const value = nextNumber();
    await client.query({
      text: 'update items set number = greatest(number, $2) where item_id = $1',
      values: [-user, value],
    });
    if (isRaised) await client.query('set constraints all immediate');
    readmitting = readmit();
    // Without this, an error of the transaction would leave a rejection that nothing handles.
    readmitting.catch(() => {});
    await pause(OPEN_MS);
    return [{ userId: String(user), value }];
  }).catch(() => []);
  sink.write({ kind: 'table change', at, ended: monotonicNow(), changes: [], values });
  await (readmitting ?? readmit());
}

/** Gives each user an order that no other actor moves, and an item. */
async function giveItems(pool: Stage['rig']['pool']): Promise<void> {
  await pool.query({
    text: `with given as (
        insert into orders select -n, n from unnest($1::bigint[]) n on conflict do nothing returning order_id
      ) insert into items select order_id, order_id, 0 from given`,
    values: [USERS],
  });
}
