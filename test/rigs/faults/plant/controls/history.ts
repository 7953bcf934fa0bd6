/** Q1, H1 to H4: versions alone, or a history that an unannounced restore does not change, or changes too late. */
import type { Plant } from '../patch.ts';

export const versionWithoutHistory: Plant = {
  name: 'Q1',
  what: 'an overlay entry fits, although its version is from any history of the database',
  patches: [
    {
      file: 'libs/freshness/judge.ts',
      find: 'return candidate.history === history && isOfArm(candidate, assignment);',
      replace: 'return isOfArm(candidate, assignment);',
    },
  ],
};

export const recallLost: Plant = {
  name: 'H1',
  what: 'a mark that could not be recalled counts as missing: readers trust Redis, and its mark is overwritten',
  patches: [
    {
      file: 'libs/prediction/events/notice-loss.ts',
      find: 'const recalled = await memory.recall().catch(() => null);',
      replace: `const recalled = await memory.recall().catch(() => ({
        mark: null,
        replace: async (mark: HistoryMark) => (await memory.recall()).replace(mark),
      }));`,
    },
    {
      file: 'libs/prediction/events/notice-loss.ts',
      find: 'isSure: (): boolean => sureOf !== null && sureOf === memory.serverId(),',
      replace: 'isSure: () => true,',
    },
  ],
};

export const historyWithoutDatabase: Plant = {
  name: 'H2',
  what: 'a history names the server alone; a mark also names the database',
  patches: [
    {
      file: 'migrations/0058_history_of_managed_servers.sql',
      find: " || '/' || d.oid || '/' || d.datname || '/' || past.rotation",
      replace: " || '/' || past.rotation",
    },
    {
      file: 'libs/offline-store/sql/history-marks.ts',
      find: 'from (select tandem.current_history() as past offset 0) p',
      replace:
        "from (select substr(md5(tandem.current_history() || '/' || current_database()), 1, 16) as past offset 0) p",
    },
  ],
};

export const unprovenPublication: Plant = {
  name: 'H3',
  what: 'a generation is published whether or not the mark in Redis could be recalled',
  patches: [
    {
      file: 'libs/prediction/events/notice-loss.ts',
      find: 'return proven === server;',
      replace: 'return true;',
    },
  ],
};

export const historyWithoutStartTime: Plant = {
  name: 'H4',
  what: 'if the timeline cannot be read, no start time replaces it; missing marks are not detected',
  patches: [
    {
      file: 'migrations/0058_history_of_managed_servers.sql',
      find: 'started := extract(epoch from pg_postmaster_start_time())::text;',
      replace: "started := '';",
    },
    {
      file: 'libs/offline-store/sql/history-marks.ts',
      find: 'where known.past = p.past and known.seq',
      replace: 'where false and known.past = p.past and known.seq',
    },
  ],
};
