/** N8 and N9: the right statements in the wrong order. */
import type { Plant } from '../patch.ts';

const relabel = JSON.stringify(new URL('../relabel.ts', import.meta.url).href);

export const versionAfterContext: Plant = {
  name: 'N8',
  what: 'the features are read first, and the versions that label them in a statement after',
  patches: [
    {
      file: 'libs/offline-store/features/features.ts',
      find: 'return usersRead(version, read, userIds, options);',
      replace: `const planted = usersRead(version, read, userIds, options);
  return { ...planted, batch: await (await import(${relabel})).relabel(pool, planted.batch) };`,
    },
    {
      file: 'libs/offline-store/features/features.ts',
      find: 'const batch = unpackRows(version, rows, oids, { history, readAt }, refused);',
      replace: `const unpacked = unpackRows(version, rows, oids, { history, readAt }, refused);
  const batch = unpacked && (await (await import(${relabel})).relabel(pool, unpacked));`,
    },
    {
      file: 'libs/offline-store/features/feature-rows.ts',
      find: 'return withRequestDefaults(version, rows.finish());',
      replace: `return withRequestDefaults(version, await (await import(${relabel})).relabel(db, rows.finish()));`,
    },
  ],
};

export const joinedInFlight: Plant = {
  name: 'N9',
  what: 'a read joins an authority statement that has been sent already',
  patches: [
    {
      file: 'libs/freshness/statement-line.ts',
      find: '    return new Promise<A>((resolve, reject) => {\n',
      replace: `    return new Promise<A>((resolve, reject) => {
      // Of the batchers only the authority's has a limit.
      const covers = (one: { question: unknown }) => (question as string[]).every((id) => (one.question as string[]).includes(id));
      const joined = this.#limit && [...this.#underWay].find((batch) => batch.some(covers));
      if (joined) {
        (joined as Waiting<Q, A>[]).push({ question, resolve, reject, deadline: this.#nextDeadline() });
        return;
      }
`,
    },
  ],
};
