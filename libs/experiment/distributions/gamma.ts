/**
 * Logarithms of the gamma and beta functions, to about 15 digits: Lanczos' approximation with Godfrey's coefficients for
 * g = 7 (P. Godfrey, "A note on the computation of the convergent Lanczos complex Gamma approximation", 2001).
 */
const G = 7;
const COEFFICIENTS = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 0.000009984369578019572, 1.5056327351493116e-7,
] as const;

/** Returns ln Γ(x), for x > 0. */
export function logGamma(x: number): number {
  // The reflection Γ(x) Γ(1 − x) = π / sin πx, since the approximation holds for x ≥ 0.5.
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const t = x + G - 0.5;
  let sum: number = COEFFICIENTS[0];
  for (let i = 1; i < COEFFICIENTS.length; i++) sum += (COEFFICIENTS[i] ?? 0) / (x - 1 + i);
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Returns ln B(a, b) = ln Γ(a) + ln Γ(b) − ln Γ(a + b), for a, b > 0. */
export function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

// The regularised upper incomplete gamma function: a series below a + 1 and a continued fraction above, by Lentz's method
// (DLMF 8.7.1 and 8.9.2; Press et al., Numerical Recipes, §6.2).

const PRECISION = 1e-16;
const TINY = 1e-300;
/** The most steps. Both methods converge in about √a steps, so this limit is never reached. */
const MOST_STEPS = 100_000;

/**
 * Returns Q(a, x) = Γ(a, x) / Γ(a), for a > 0 and x ≥ 0. It falls from 1 to 0, and keeps relative precision in the
 * tail.
 */
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
