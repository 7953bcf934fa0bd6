/**
 * Derives the outcome of an answer four weeks later. The history does not depend on the model: the same customers buy.
 * A better model improves the decisions of the shop, and the outcomes measure that.
 */

/**
 * The cost of a catalogue in dollars. A catalogue pays if its cost is at most the margin of an order times the chance
 * of an order.
 */
export const catalogueCost = 1;
export const orderMargin = 8;

/** The least score of customers who get a catalogue, equal to `decision` in tandem.config.ts. */
export const catalogueFrom = catalogueCost / orderMargin;

export interface AnswerOutcomes {
  /** The value of 1 − (score − bought)²: 1 for a certain and right answer, 0 for a certain and wrong answer. */
  readonly foresight: number;
  /** Dollars that the catalogue earned or lost; 0 if none was sent. */
  readonly profit: number;
}

/**
 * Returns the outcomes of an answer.
 * @param bought whether the customer ordered within four weeks
 */
export function outcomesOf(score: number, bought: boolean): AnswerOutcomes {
  const isSent = score >= catalogueFrom;
  return {
    foresight: 1 - (score - Number(bought)) ** 2,
    profit: isSent ? (bought ? orderMargin : 0) - catalogueCost : 0,
  };
}
