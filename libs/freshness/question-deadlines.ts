/**
 * Ends questions that are not answered in time, whatever they wait for. One timer looks at all of them: a timer or a
 * promise each costs more than a question's own share of a statement.
 */

export interface QuestionLimit {
  /** How long a question may take. Looked at ten times in that time, so one ends up to a tenth earlier, never later. */
  readonly ms: number;
  /** What it is rejected with. */
  tooLate(): Error;
}

export interface Limited {
  /** On the clock of `performance.now`. */
  readonly deadline: number;
  reject(error: unknown): void;
}

export interface QuestionDeadlines {
  /** The deadline of a question that is asked now. */
  next(): number;
}

const TICKS = 10;

/**
 * @param groups of questions, each in the order in which they were asked: those not answered yet. It may give some that
 * are settled; rejecting those changes nothing.
 */
export function createQuestionDeadlines(
  { ms, tooLate }: QuestionLimit,
  groups: () => readonly (readonly Limited[])[],
): QuestionDeadlines {
  const tickMs = ms / TICKS;
  let ticker: NodeJS.Timeout | undefined;

  function tick(): void {
    // What comes due before the next look is ended now.
    const due = performance.now() + tickMs;
    let isAnyLeft = false;
    for (const group of groups()) {
      for (const one of group) {
        if (one.deadline > due) {
          // Those behind it are due later still.
          isAnyLeft = true;
          break;
        }
        one.reject(tooLate());
      }
    }
    if (isAnyLeft) return;
    clearInterval(ticker);
    ticker = undefined;
  }

  return {
    next() {
      ticker ??= setInterval(tick, tickMs);
      return performance.now() + ms;
    },
  };
}
