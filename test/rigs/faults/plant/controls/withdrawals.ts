/** Processes that serve, while Postgres does not answer, what a rollback or an abort has withdrawn; and older answers. */
import type { Plant } from '../patch.ts';

export const withdrawalsNotCompared: Plant = {
  name: 'withdrawals not compared',
  what: 'while Postgres does not answer, readers trust their last assignment: they do not compare the count of withdrawals',
  patches: [
    {
      file: 'libs/freshness/unverified-read.ts',
      find: 'if (!tombstones || !isInForce(known, withdrawals)) return refuse();',
      replace: 'if (!tombstones) return refuse();',
    },
  ],
};

export const withdrawalsNotRaised: Plant = {
  name: 'withdrawals not raised',
  what: 'a rollback or an abort is acknowledged before Redis has its count; a worker raises the count within seconds',
  patches: [
    {
      file: 'libs/prediction/runs/withdrawals.ts',
      find: 'if (after.count !== before.count || after.history !== before.history) await online.raise(after);',
      replace: '',
    },
  ],
};

export const demandedNotNamed: Plant = {
  name: 'O1',
  what: 'a certificate that names a newer stored answer does not stop the memory of a process from answering',
  patches: [
    {
      file: 'libs/freshness/settle.ts',
      find: 'if (!demanded || !isOfArm(demanded, assignment)) return false;',
      replace: 'if (!demanded || demanded) return false;',
    },
  ],
};
