/** Ends started parts in reverse: a part ends before the parts that it needs. */

interface Stoppable {
  readonly name: string;
  stop(): Promise<void>;
  /** Ends it at once, synchronously: the process is about to exit. */
  kill(): void;
}

interface Takedown {
  add(started: Stoppable): void;
  isEmpty(): boolean;
  /** Ends everything, the last started first. A failure is reported and does not prevent the rest from ending. */
  stopAll(): Promise<void>;
  killAll(): void;
}

export function createTakedown(say: (line: string) => void): Takedown {
  const started: Stoppable[] = [];
  return {
    add: (stoppable) => void started.push(stoppable),
    isEmpty: () => started.length === 0,
    stopAll: async () => {
      for (let next = started.at(-1); next !== undefined; next = started.at(-1)) {
        // It stays on the list until it has ended: a second Ctrl-C meanwhile still finds it.
        await next.stop().catch((error: unknown) => {
          say(`${next?.name} did not end in good order: ${error instanceof Error ? error.message : error}`);
        });
        started.pop();
      }
    },
    killAll: () => {
      for (const stoppable of started.splice(0).reverse()) stoppable.kill();
    },
  };
}
