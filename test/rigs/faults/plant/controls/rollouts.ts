/** R1 to R3: facts about arms from a source that cannot know them. */
import type { Plant } from '../patch.ts';

export const heldAssignment: Plant = {
  name: 'R1',
  what: 'a process uses the arms of its last certificate for a second',
  patches: [
    {
      file: 'libs/freshness/reader.ts',
      find: 'const assignments = notice(certificate);',
      replace: `const told = notice(certificate);
    const kept = (globalThis as unknown as { plantedR1?: { told: Assignments; until: number } });
    if (!kept.plantedR1 || kept.plantedR1.until < performance.now()) {
      kept.plantedR1 = { told, until: performance.now() + 1_000 };
    }
    const assignments = kept.plantedR1.told;`,
    },
  ],
};

export const overlayOfAnyArm: Plant = {
  name: 'R2',
  what: 'an entry of the overlay fits any arm of the user: readers trust Redis to hold the assigned version',
  patches: [
    {
      file: 'libs/freshness/judge.ts',
      find: 'if (candidate.modelVersionId !== assignment.modelVersionId) return false;',
      replace: "if (candidate.layer === 'overlay') return candidate.history === history;",
    },
  ],
};

export const saltedByStep: Plant = {
  name: 'R3',
  what: "each step assigns users to arms again, not by the rollout's own salt",
  patches: [
    {
      file: 'libs/offline-store/certificate/assigned-arms.ts',
      find: 'const bucketOf = (userId: string) => bucketOfUser(salt, userId);',
      replace: 'const bucketOf = (userId: string) => bucketOfUser(String(step), userId);',
    },
  ],
};
