/**
 * The program of slow-clients-apart.ts. It opens clients at the first message, and answers each with the number still
 * held.
 */
import { heldOf } from './open-connections.ts';
import { openSlowClients, type SlowClients, type Slowness } from './slow-clients.ts';

export interface SlowClientsOrder {
  readonly port: number;
  readonly clients: number;
  readonly kinds: readonly Slowness[];
}

let order: SlowClientsOrder;
let slow: SlowClients | undefined;

process.on('message', async (message: SlowClientsOrder) => {
  if (!slow) {
    order = message;
    slow = await openSlowClients(order.port, order.clients, order.kinds);
  }
  process.send?.(await heldOf(order.port, slow.ports));
});
process.on('disconnect', () => process.exit());
