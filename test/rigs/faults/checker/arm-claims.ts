/**
 * Records which arm could serve which model version, and when, in intervals as long as the known facts allow. An open
 * interval has no end yet. A read may be answered by any arm that could serve at some moment between its beginning and
 * its end.
 *
 * Memory: some hundred bytes a claim. A claim that ended longer ago than any read takes is forgotten.
 */
import type { ToldArm } from '../history.ts';

export interface ArmClaims {
  /** Notes that the arm may serve from `from` on. Changes nothing if it may already. */
  allow(arm: AnyArm, from: number): void;
  /** Notes that only these arms may serve from `at` on. */
  closeOthers(kept: readonly ToldArm[], at: number): void;
  /** Notes that the arm no longer serves. */
  close(arm: ToldArm, at: number): void;
  isAllowed(arm: ToldArm, at: number, ended: number): boolean;
  /** Forgets all claims: every arm is allowed. */
  forget(): void;
  readonly all: readonly Claim[];
}

/** An arm; null matches any value. */
export interface AnyArm {
  readonly variant: string | null;
  readonly version: number | null;
}

export interface Claim extends AnyArm {
  readonly from: number;
  until: number;
}

export const STABLE = 'stable';
const ANYTHING: AnyArm = { variant: null, version: null };
const ALWAYS = Number.NEGATIVE_INFINITY;
const FOR_EVER = Number.POSITIVE_INFINITY;

/** @param windowMs longer than any read takes */
export function createArmClaims(windowMs: number, first: ToldArm): ArmClaims {
  let claims: Claim[] = [{ ...first, from: ALWAYS, until: FOR_EVER }];

  function end(isOver: (claim: Claim) => boolean, at: number): void {
    for (const claim of claims) if (claim.until === FOR_EVER && isOver(claim)) claim.until = at;
    claims = claims.filter(({ until }) => until > at - windowMs);
  }

  return {
    get all() {
      return claims;
    },
    allow({ variant, version }, from) {
      const isOpen = claims.some((one) => one.until === FOR_EVER && one.variant === variant && one.version === version);
      if (!isOpen) claims.push({ variant, version, from, until: FOR_EVER });
    },
    closeOthers: (kept, at) => end((claim) => !kept.some((arm) => isSame(claim, arm)), at),
    close: (arm, at) => end((claim) => isSame(claim, arm), at),
    isAllowed: (arm, at, ended) =>
      claims.some((claim) => covers(claim, arm) && claim.from <= ended && claim.until >= at),
    forget() {
      claims = [{ ...ANYTHING, from: ALWAYS, until: FOR_EVER }];
    },
  };
}

function isSame(claim: AnyArm, arm: ToldArm): boolean {
  return claim.variant === arm.variant && claim.version === arm.version;
}

function covers({ variant, version }: AnyArm, arm: ToldArm): boolean {
  return (variant === null || variant === arm.variant) && (version === null || version === arm.version);
}
