/**
 * W2 to W6: changes of watched tables that raise no version, another user's version, or a version that a crash loses, and changes
 * that are not noticed.
 */
import type { Plant } from '../patch.ts';

const file = 'migrations/0073_changes_at_commit.sql';

export const bulkRaisesNothing: Plant = {
  name: 'W2',
  what: 'a bulk change of a watched table does not raise the source version',
  patches: [
    {
      file,
      find: 'update tandem.source_versions set version = version + 1 where predictor = any (everyone);',
      replace: '',
    },
  ],
};

export const lookedUpInStatement: Plant = {
  name: 'W3',
  what: 'a key looks up the user in the statement, and not again at commit',
  patches: [
    {
      file,
      find: 'insert into tandem.source_changes (watch, users, lookups) values (watch, users, lookups);',
      replace: `if lookups is not null then
    execute format('select tandem.watch_%s_users($1)', watch) into users using lookups;
  end if;
  insert into tandem.source_changes (watch, users) values (watch, users);`,
    },
  ],
};

export const undurableForReplicas: Plant = {
  name: 'W4',
  what: 'the triggers that make a commit durable do not fire in sessions that replay changes',
  patches: [
    { file, find: 'alter table tandem.%1$I enable always trigger commit_durably_at_end', replace: '' },
    { file, find: 'alter table tandem.user_contexts enable always trigger commit_durably;', replace: '' },
    { file, find: 'alter table tandem.source_versions enable always trigger commit_durably;', replace: '' },
  ],
};

export const ddlUnnoticed: Plant = {
  name: 'W5',
  what: 'a change of the schema marks no watch',
  patches: [
    {
      file: 'migrations/0074_watched_schema.sql',
      find: 'if cardinality(changed) = 0 then return; end if;',
      replace: 'return;',
    },
  ],
};

export const erasedUnlocked: Plant = {
  name: 'W6',
  what: 'a change of a row of an erased user does not lock the user',
  patches: [
    {
      file,
      find: 'where c.user_id = u.user_id collate "C"\n    returning',
      replace:
        'where c.user_id = u.user_id collate "C" and (c.deleted_version = 0 or c.version <> c.deleted_version)\n    returning',
    },
  ],
};
