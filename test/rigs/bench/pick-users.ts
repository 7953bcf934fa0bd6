/** Which user is read next: by Zipf's law, the users' ranks in an order that has nothing to do with their ids. */

/** Gives a user's number, from 0 on. */
export type UserPicker = () => number;

/** Drawn beforehand, so that drawing costs the load nothing; long enough that its end is hardly reached in a round. */
const DRAWN = 2 ** 20;

export function createUserPicker(users: number, exponent: number, random: () => number = Math.random): UserPicker {
  const drawn = Uint32Array.from({ length: DRAWN }, createUserDraw(users, exponent, random));
  let next = 0;
  return () => drawn[next++ % DRAWN] ?? 0;
}

/**
 * Draws at each call. The user of rank r is drawn with a probability in proportion to 1 / r^exponent.
 * @param exponent 0: each is as likely as any other; 1: Zipf's law as it is found in traffic
 */
export function createUserDraw(users: number, exponent: number, random: () => number): UserPicker {
  const upTo = new Float64Array(users);
  let sum = 0;
  for (let rank = 1; rank <= users; rank++) {
    sum += rank ** -exponent;
    upTo[rank - 1] = sum;
  }
  const order = shuffled(users, random);
  return () => order[placeIn(upTo, random() * sum)] ?? 0;
}

/** The first place whose value is above the wanted one: a binary search. */
function placeIn(ascending: Float64Array, wanted: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) > wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The numbers below `count` in random order (Fisher and Yates). */
export function shuffled(count: number, random: () => number = Math.random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0];
  }
  return order;
}
