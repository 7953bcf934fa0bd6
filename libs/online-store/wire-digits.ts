/** Numbers and ends of lines in Redis' protocol, written by hand: for so few bytes a call of Buffer's own takes longer. */
const CR = 13;
const LF = 10;
const ZERO = 48;

/** A sign, a whole number, the end of the line. Gives the offset behind it, as all of these do. */
export function writeLength(bytes: Buffer, at: number, sign: number, length: number): number {
  bytes[at] = sign;
  return writeEnd(bytes, writeDigits(bytes, at + 1, length));
}

export function writeEnd(bytes: Buffer, at: number): number {
  bytes[at] = CR;
  bytes[at + 1] = LF;
  return at + 2;
}

export function writeBytes(bytes: Buffer, at: number, source: Buffer, start = 0, end = source.length): number {
  if (end - start > 256) return at + source.copy(bytes, at, start, end);
  for (let from = start, to = at; from < end; from++, to++) bytes[to] = source[from] as number;
  return at + end - start;
}

export function digitsOf(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  return digits;
}

export function writeDigits(bytes: Buffer, at: number, value: number): number {
  const end = at + digitsOf(value);
  let rest = value;
  for (let i = end - 1; i >= at; i--) {
    const tens = Math.floor(rest / 10);
    bytes[i] = ZERO + rest - tens * 10;
    rest = tens;
  }
  return end;
}
