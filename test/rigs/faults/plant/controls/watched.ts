/** W2, W3 and W4: changes of watched tables that raise no version, another user's version, or a version that a crash loses. */
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
