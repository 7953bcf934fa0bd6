/**
 * Detects an unannounced database restore. Processes write a random mark to the database every few seconds, and
 * remember the newest mark in memory and in the online store. If a remembered mark is missing from the history in which
 * it was seen, the database was restored. The offline store then begins another history.
 *
 * A mark in the online store is replaced only after it was read and found in the database, by a mark that the same
 * statement returned. If it cannot be read, it is never overwritten. Until a process has read and found it, the online
 * store may hold predictions of a lost past, so it is not asked for candidates (`isSure`).
 */

/** A mark in the database, and the history in which it was seen. */
export interface HistoryMark {
  /** The history: 16 hex digits. */
  readonly past: string;
  readonly seq: number;
  readonly mark: string;
}

export interface MarkLook {
  /** The newest mark in the database; null if there is none yet. */
  readonly newest: HistoryMark | null;
  /** Whether any of the given marks is missing from the history in which it was seen. */
  readonly isLost: boolean;
}

/** Port: the marks in the database. */
export interface HistoryMarks {
  /**
   * Looks for these marks and the newest mark in one statement. If one is lost, another history has begun when the
   * promise resolves.
   */
  look(known: readonly HistoryMark[]): Promise<MarkLook>;
  leave(): Promise<void>;
}

/** The marks that the online store held when they were read. Only the process that read them can replace them. */
interface RecalledMark {
  /** The marks of all servers that have one. */
  readonly marks: readonly HistoryMark[];
  /** Stores this mark unless the memory has changed since. Resolves with whether it was stored. */
  replace(mark: HistoryMark): Promise<boolean>;
}

/** Port: a memory of the newest mark that outlives the process. It may be lost or outdated. */
export interface MarkMemory {
  /**
   * Identifies the server that holds the memory; null if it is unknown. A process never relies on an unknown server.
   */
  serverId(): string | null;
  /** Reads the memory. Rejects if it cannot be read. */
  recall(): Promise<RecalledMark>;
}

export type LossNotice = ReturnType<typeof createLossNotice>;

export function createLossNotice(marks: HistoryMarks, memory: MarkMemory) {
  let known: HistoryMark | null = null;
  /** The server with the memory that was read; null while the process is not sure. */
  let sureOf: string | null = null;
  let doubts = 0;
  /** The run of the database server for which the last proof holds. */
  let proven: string | null = null;

  /**
   * Reads the memory. This comes before the query of the database, so that each remembered mark was written before the
   * query.
   */
  async function recall() {
    const serverId = memory.serverId();
    const before = doubts;
    const recalled = await memory.recall().catch(() => null);
    const isOfServer = recalled !== null && serverId !== null && memory.serverId() === serverId;
    return {
      recalled,
      /**
       * Accepts the result unless a connection was opened meanwhile that could not read the memory: it may lead to
       * another past.
       */
      settle(newest: HistoryMark | null): void {
        known = newest;
        if (isOfServer && before === doubts) sureOf = serverId;
      },
      isOfServer,
    };
  }

  const remembered = (recalled: RecalledMark | null) =>
    [known, ...(recalled?.marks ?? [])].filter((mark) => mark !== null);

  return {
    /** Returns whether the memory of the connected server was read, and its marks were found in the database. */
    isSure: (): boolean => sureOf !== null && sureOf === memory.serverId(),
    /**
     * Checks a new connection to the database before any of its results is used. If the memory cannot be read at that
     * time, `isSure` is false until it was read. Resolves with whether a loss was detected.
     */
    async connected(look: HistoryMarks['look']): Promise<boolean> {
      const { recalled, isOfServer, settle } = await recall();
      if (!isOfServer) {
        doubts++;
        sureOf = null;
      }
      const { newest, isLost } = await look(remembered(recalled));
      settle(newest);
      return isLost;
    },
    /**
     * Returns whether a transaction may publish a generation. Without this check the online store could hold rows of a
     * lost past under the same id. True if the memory was read within the transaction; if the database lacks a
     * remembered mark, another history has then begun. Also true if an earlier call proved this run of the database
     * server.
     * @param look looks through the transaction's own connection, which a restore would close
     * @param server identifies this run of the database server; a restart changes it
     */
    async prove(look: HistoryMarks['look'], server: string): Promise<boolean> {
      const { recalled, isOfServer } = await recall();
      await look(remembered(recalled));
      if (isOfServer) proven = server;
      return proven === server;
    },
    /**
     * Writes a mark, looks for the remembered marks, and remembers the newest. Resolves with whether a loss was
     * detected.
     */
    async round(): Promise<boolean> {
      const { recalled, settle } = await recall();
      await marks.leave();
      const { newest, isLost } = await marks.look(remembered(recalled));
      settle(newest);
      if (newest !== null) await recalled?.replace(newest).catch(() => false);
      return isLost;
    },
  };
}
