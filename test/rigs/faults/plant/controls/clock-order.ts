/** C1: values of events without a time in the order of Postgres' clock. */
import type { Plant } from '../patch.ts';

export const valuesByClock: Plant = {
  name: 'C1',
  what: "of two values the one accepted at the later time of Postgres' clock counts",
  patches: [
    {
      file: 'migrations/0022_order_of_event_values.sql',
      find: 'elsif last_timed and last_accepted <= accepted and accepted < last_time then return last;',
      replace: 'elsif accepted < last_time then return last;',
    },
  ],
};
