/**
 * Detects a lost past: commits that a crash of Postgres undid after predictions were computed from them. A crash can
 * undo a commit that did not wait for its write to disk. The next event then reaches the same context version, and a
 * prediction with that label would look current. So another history must begin before the next event.
 *
 * A label above the certificate's version is no proof: the prediction may be newer than the certificate. Only a second
 * certificate, which began after the prediction was found, proves that its version is lost.
 */
import type { Authority, Certificate } from './certificate.ts';
import type { Label } from './stored-prediction.ts';

/** A label that the database has lost: it was assigned in this history, which now has a lower version of the user. */
export interface LostLabel {
  readonly history: string;
  readonly predictor: string;
  readonly userId: string;
  readonly label: number;
  readonly version: number;
}

/** Port: reports a lost past. */
export interface LostPast {
  /** Begins another history, if the current one is still that of the label. Never rejects: it may lack the right. */
  report(lost: LostLabel): Promise<void>;
}

/**
 * Returns whether a label is above the user's version. Labels of a generation, which name no history, never are: the
 * certificate states the generation's publication, which was committed durably after the generation had read them.
 */
export function isAhead({ contextVersion, history }: Pick<Label, 'contextVersion' | 'history'>, version: number) {
  return contextVersion > version && history !== null;
}

export interface LostPastDependencies {
  readonly authority: Authority;
  readonly lostPast: LostPast;
}

/** Labels that a read found, by user. */
type FoundLabels = ReadonlyMap<string, readonly Pick<Label, 'contextVersion' | 'history'>[]>;

/**
 * Returns a certificate that began after these labels were found. If a label is still ahead of it, the past is lost.
 * The returned certificate is then of another history, unless this process could not begin one. Returns the first
 * certificate if Postgres does not answer.
 */
export async function certifyAgain(
  { authority, lostPast }: LostPastDependencies,
  predictor: string,
  first: Certificate,
  found: FoundLabels,
): Promise<Certificate> {
  const certify = () => authority.certify([...found.keys()], predictor).catch(() => first);
  const second = await certify();
  const lost = second === first ? undefined : findLost(second, predictor, found);
  if (!lost) return second;
  await lostPast.report(lost);
  const third = await certify();
  // In the same history the next event may have reached the label already, so the second certificate has to exclude it.
  return third.history === second.history ? second : third;
}

function findLost(certificate: Certificate, predictor: string, found: FoundLabels): LostLabel | undefined {
  const { history } = certificate;
  for (const [userId, labels] of found) {
    const { version } = certificate.user(userId, predictor);
    const lost = labels.find((label) => label.history === history && isAhead(label, version));
    if (lost) return { history, predictor, userId, label: lost.contextVersion, version };
  }
  return undefined;
}
