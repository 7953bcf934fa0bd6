/**
 * Detects a lost past: commits that a crash of Postgres undid after predictions were computed from them. A commit that
 * did not wait for its write to disk can be lost so. Its context version is then assigned again, to another event, and
 * a prediction with that label would look current. So another history must begin, before the version is reached again.
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

/** Ignores lost pasts; each read still ignores their predictions. */
export const UNREPORTED: LostPast = Object.freeze({ report: () => Promise.resolve() });

/**
 * Returns whether a label is above the user's version. Labels of a generation never are, since its publication, which
 * the certificate states, was committed after them: without a history of its own, such a label is not doubted.
 */
export function isAhead({ contextVersion, history }: Pick<Label, 'contextVersion' | 'history'>, version: number) {
  return contextVersion > version && history !== null;
}

/** A label that a read found, and whose certificate states a lower version. */
export type DoubtedLabel = readonly [userId: string, label: Pick<Label, 'contextVersion' | 'history'>];

/**
 * Returns a certificate that began after these labels were found. If a label is still ahead of it, the past is lost:
 * another history has begun before the returned certificate, unless this process may not begin one. Returns the first
 * certificate if Postgres does not answer.
 */
export async function certifyAgain(
  { authority, lostPast = UNREPORTED }: { readonly authority: Authority; readonly lostPast?: LostPast | undefined },
  predictor: string,
  first: Certificate,
  doubted: readonly DoubtedLabel[],
): Promise<Certificate> {
  const userIds = doubted.map(([userId]) => userId);
  const second = await authority.certify(userIds, predictor).catch(() => first);
  const { history } = second;
  const versionOf = (userId: string) => second.user(userId, predictor).version;
  const lost = doubted.find(([userId, label]) => label.history === history && isAhead(label, versionOf(userId)));
  if (!lost || second === first) return second;
  const [userId, { contextVersion: label }] = lost;
  await lostPast.report({ history, predictor, userId, label, version: versionOf(userId) });
  return authority.certify(userIds, predictor).catch(() => first);
}
