/**
 * Notices a database restore that was not announced. Processes leave a random mark in the database every few seconds, and
 * remember the newest, here and in the online store. A remembered mark that is missing from the history it was seen in
 * proves that the database was set back; the offline store then begins another history.
 *
 * No recall, no keep: a memory that could not be read is never overwritten, and is only replaced by a mark that was read
 * in the same statement that found the recalled one. Until a process has recalled, the online store may hold predictions
 * of a lost past: it is not asked for candidates (`isSure`).
 */

/** A mark in the database, and the history where it was seen. */
export interface HistoryMark {
  /** The history: 16 hex digits. */
  readonly past: string;
  readonly seq: number;
  readonly mark: string;
}

export interface MarkLook {
  /** The newest mark in the database; null if there is none yet. */
  readonly newest: HistoryMark | null;
  /** One of the marks asked about is missing from the history that it was seen in. */
  readonly isLost: boolean;
}

/** Port: the marks in the database. */
export interface HistoryMarks {
  /** Looks for these marks and the newest in one statement. Where one is lost, another history has begun when this resolves. */
  look(known: readonly HistoryMark[]): Promise<MarkLook>;
  leave(): Promise<void>;
}

/** The mark that a store held when it was read. Only its reader can replace it. */
interface RecalledMark {
  /** One for each server that remembers one. */
  readonly marks: readonly HistoryMark[];
  /** Remembers this mark, unless the memory has changed since; resolves with whether it did. */
  replace(mark: HistoryMark): Promise<boolean>;
}

/** Port: a memory of the newest mark that outlives the process, and may be lost or old. */
export interface MarkMemory {
  /** Identifies the server that holds it; null if it is unknown. A process never relies on such a server. */
  serverId(): string | null;
  /** Rejects where the memory cannot be read. */
  recall(): Promise<RecalledMark>;
}

export interface LossNotice {
  /** Whether the memory of the server now connected was recalled, and the database found to have what it remembers. */
  isSure(): boolean;
  /**
   * Looks through a new connection to the database, before anything that it says is used. Where the memory cannot be
   * recalled then, the process is not sure until it could.
   */
  connected(look: HistoryMarks['look']): Promise<boolean>;
  /**
   * Returns whether a transaction may publish a generation. Without this check the online store could hold rows of a lost
   * past under the same id. True if the memory was recalled within the transaction; if the database lacks the remembered
   * mark, another history has begun by then. Also true if an earlier call proved this run of the database server.
   * @param look through the transaction's own connection, which a restore would end
   * @param server names this run of the database server; another after each restart
   */
  prove(look: HistoryMarks['look'], server: string): Promise<boolean>;
  /** Leaves a mark, looks for the remembered ones, and remembers the newest. Resolves with whether a loss was noticed. */
  round(): Promise<boolean>;
}

export function createLossNotice(marks: HistoryMarks, memory: MarkMemory): LossNotice {
  let known: HistoryMark | null = null;
  /** The server whose memory was recalled; null while the process is not sure. */
  let sureOf: string | null = null;
  let doubts = 0;
  /** The run of the database server that the last proof was about. */
  let proven: string | null = null;

  /** The memory first, then the database: a mark that is remembered was left before. */
  async function recall() {
    const serverId = memory.serverId();
    const before = doubts;
    const recalled = await memory.recall().catch(() => null);
    const isOfServer = recalled !== null && serverId !== null && memory.serverId() === serverId;
    return {
      recalled,
      /** A connection that was opened meanwhile and could not recall may be to another past. */
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
    isSure: () => sureOf !== null && sureOf === memory.serverId(),
    async connected(look) {
      const { recalled, isOfServer, settle } = await recall();
      if (!isOfServer) {
        doubts++;
        sureOf = null;
      }
      const { newest, isLost } = await look(remembered(recalled));
      settle(newest);
      return isLost;
    },
    async prove(look, server) {
      const { recalled, isOfServer } = await recall();
      await look(remembered(recalled));
      if (isOfServer) proven = server;
      return proven === server;
    },
    async round() {
      const { recalled, settle } = await recall();
      await marks.leave();
      const { newest, isLost } = await marks.look(remembered(recalled));
      settle(newest);
      if (newest !== null) await recalled?.replace(newest).catch(() => false);
      return isLost;
    },
  };
}
