/**
 * Whether the database still has what was seen of it: a mark is left in it every few seconds, and remembered here and in the
 * online store. Where one is missing that was seen in this very history, the database was set back without a word, and
 * the offline store begins another history.
 */

/** A mark in the database, and where it was seen. */
export interface HistoryMark {
  /** 16 hex digits: the history and the database, of which a server may have several. */
  readonly past: string;
  readonly seq: number;
  readonly mark: string;
}

export interface MarkLook {
  /** The last mark there is; null where there is none yet. */
  readonly newest: HistoryMark | null;
  /** The mark asked about is missing, though this is the past that it was seen in. */
  readonly isLost: boolean;
}

/** Port: the marks in the database. */
export interface HistoryMarks {
  /** Where the mark is lost, another history has begun when this resolves. */
  look(known: HistoryMark | null): Promise<MarkLook>;
  leave(): Promise<void>;
}

/** Port: a memory of the last mark that outlives the process, and may be lost or old. */
export interface MarkMemory {
  recall(): Promise<HistoryMark | null>;
  keep(mark: HistoryMark): Promise<void>;
}

export const NO_MEMORY: MarkMemory = Object.freeze({ recall: async () => null, keep: async () => {} });

export interface LossNotice {
  /** The last mark that this process has seen. */
  known(): HistoryMark | null;
  /** Looks for what is remembered, leaves a mark, and remembers the last. Resolves with whether a loss was noticed. */
  round(): Promise<boolean>;
}

export function createLossNotice(marks: HistoryMarks, memory: MarkMemory = NO_MEMORY): LossNotice {
  let known: HistoryMark | null = null;
  return {
    known: () => known,
    async round() {
      const mine = await marks.look(known);
      const theirs = await marks.look(await memory.recall().catch(() => null));
      await marks.leave();
      known = (await marks.look(null)).newest;
      if (known) await memory.keep(known).catch(() => {});
      return mine.isLost || theirs.isLost;
    },
  };
}
