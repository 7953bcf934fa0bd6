/**
 * The regularised upper incomplete gamma function: a series below a + 1 and a continued fraction above, by Lentz's method
 * (DLMF 8.7.1 and 8.9.2; Press et al., Numerical Recipes, §6.2).
 */
import { logGamma } from './log-gamma.ts';

const PRECISION = 1e-16;
const TINY = 1e-300;
/** Both converge in some √a steps: never reached, but a loop has an end. */
const MOST_STEPS = 100_000;

/** Q(a, x) = Γ(a, x) / Γ(a), for a > 0 and x ≥ 0: falls from 1 to 0, with its relative precision in the tail. */
export function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  return x < a + 1 ? 1 - scale * lowerSeries(a, x) : scale * upperFraction(a, x);
}

function lowerSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < MOST_STEPS && term > sum * PRECISION; n++) {
    term *= x / (a + n);
    sum += term;
  }
  return sum;
}

function upperFraction(a: number, x: number): number {
  let b = x + 1 - a;
  let c = 1 / TINY;
  let d = 1 / b;
  let h = d;
  for (let n = 1; n < MOST_STEPS; n++) {
    const numerator = n * (a - n);
    b += 2;
    d = 1 / awayFromZero(numerator * d + b);
    c = awayFromZero(b + numerator / c);
    h *= d * c;
    if (Math.abs(d * c - 1) < PRECISION * 4) break;
  }
  return h;
}

function awayFromZero(x: number): number {
  return Math.abs(x) < TINY ? TINY : x;
}
