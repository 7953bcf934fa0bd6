/** Draws the user of the next read by Zipf's law. A user's rank does not depend on the id. */

/** A function that returns the number of a user, from 0 on. */
export type UserPicker = () => number;

/** The number of users drawn in advance, so that drawing takes no CPU during the load. It suffices for most rounds. */
const DRAWN = 2 ** 20;

export function createUserPicker(users: number, exponent: number, random: () => number = Math.random): UserPicker {
  const drawn = Uint32Array.from({ length: DRAWN }, createUserDraw(users, exponent, random));
  let next = 0;
  return () => drawn[next++ % DRAWN] ?? 0;
}

/**
 * Returns a function that draws a user at each call. The user of rank r has a probability in proportion to 1 /
 * r^exponent.
 * @param exponent 0: all users are equally likely; 1: Zipf's law as it is found in traffic
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

/** Returns the first place whose value is above `wanted`, by binary search. */
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

/** Returns the numbers below `count` in random order (Fisher and Yates). */
export function shuffled(count: number, random: () => number = Math.random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0];
  }
  return order;
}
