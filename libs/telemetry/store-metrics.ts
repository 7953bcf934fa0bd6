/** Metrics of the stores as a process sees them, and of what it had to warn of. */
import { Counter, Gauge, type Registry } from 'prom-client';

export function storeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    onlineStoreUp: new Gauge({
      name: 'tandem_online_store_up',
      help: 'Whether commands are sent to the cache: 0 while it is not connected, or its circuit is open.',
      registers,
    }),
    poolConnections: new Gauge({
      name: 'tandem_postgres_connections',
      help: 'Connections to Postgres by pool: in use or idle.',
      labelNames: ['pool', 'state'] as const,
      registers,
    }),
    poolWaiting: new Gauge({
      name: 'tandem_postgres_waiting',
      help: 'Callers that wait for a connection of the pool.',
      labelNames: ['pool'] as const,
      registers,
    }),
    historyChanges: new Counter({
      name: 'tandem_history_changes_total',
      help: "Times that this process saw the database's history change: a restore, or a failover.",
      registers,
    }),
    warnings: new Counter({
      name: 'tandem_log_warnings_total',
      help: 'Lines of the log at warn and error, by event, whether LOG_LEVEL lets them through or not.',
      labelNames: ['level', 'event'] as const,
      registers,
    }),
  };
}
