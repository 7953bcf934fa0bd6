import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eachUser, scoredUsers } from './scored-users.ts';

const user = fc.record({
  userId: fc.string({ minLength: 1 }),
  contextVersion: fc.maxSafeNat(),
  outputs: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
});

it('scored users in columns decode to the same users', () => {
  fc.assert(
    fc.property(fc.array(user), (users) => {
      expect(eachUser(scoredUsers(users))).toEqual(users);
    }),
  );
});
