/** Ends started parts in reverse order, so that a part ends before the parts that it needs. */

export interface Stoppable {
  readonly name: string;
  stop(): Promise<void>;
  /** Ends the part at once and synchronously, because the process is about to exit. */
  kill(): void;
}

export function createTakedown(say: (line: string) => void) {
  const started: Stoppable[] = [];
  return {
    add: (stoppable: Stoppable) => void started.push(stoppable),
    isEmpty: () => started.length === 0,
    /** Ends everything, the last started part first. Reports failures and ends the other parts. */
    stopAll: async () => {
      for (let next = started.at(-1); next !== undefined; next = started.at(-1)) {
        // The part stays on the list until it has ended, so that a second Ctrl-C can kill it.
        await next.stop().catch((error: unknown) => {
          say(`${next?.name} did not end in order: ${error instanceof Error ? error.message : error}`);
        });
        started.pop();
      }
    },
    killAll: () => {
      for (const stoppable of started.splice(0).reverse()) stoppable.kill();
    },
  };
}
