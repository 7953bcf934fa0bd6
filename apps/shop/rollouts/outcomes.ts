/**
 * Derives the outcome of an answer, four weeks later. History does not change with the model: the same customers buy. A
 * better model changes how well the shop uses its answers, and that is counted.
 */

/** Dollars. A catalogue pays where it costs no more than a share of the order's margin that it is likely to bring. */
export const catalogueCost = 1;
export const orderMargin = 8;

/** Customers with this score or a higher one are sent a catalogue; `decision` in tandem.config.ts says the same. */
export const catalogueFrom = catalogueCost / orderMargin;

export interface AnswerOutcomes {
  /** 1 for a certain answer that came true, 0 for a certain answer that did not: 1 − (score − bought)². */
  readonly foresight: number;
  /** Dollars that the catalogue brought or cost; 0 if none was sent. */
  readonly profit: number;
}

/** @param bought whether the customer ordered within four weeks */
export function outcomesOf(score: number, bought: boolean): AnswerOutcomes {
  const isSent = score >= catalogueFrom;
  return {
    foresight: 1 - (score - Number(bought)) ** 2,
    profit: isSent ? (bought ? orderMargin : 0) - catalogueCost : 0,
  };
}
