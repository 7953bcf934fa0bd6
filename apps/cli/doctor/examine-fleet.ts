/** Checks the live processes: their releases, and whether Postgres has room for their connections. */

import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { counted } from '@tandem/commands/output/text';
import { isTandemError } from '@tandem/freshness/errors';
import { type ConnectionRoom, findRoom, roomProblem } from '@tandem/offline-store/processes/connection-room';
import { listProcesses } from '@tandem/offline-store/processes/processes';
import { findProtocol } from '@tandem/offline-store/sql/protocol';
import type { LiveProcess, ProcessKind } from '@tandem/prediction/processes/processes';

type Pool = Parameters<typeof findRoom>[0];

/** The API according to the settings. */
interface PlannedApi {
  readonly processes: number;
  /** Direct connections to Postgres of one process; null if its pools use a pooler. */
  readonly connections: number | null;
}

/**
 * Checks the live processes.
 * @param direct the direct connections, as `directPools` returns them
 */
export async function examineFleet(pool: Pool, direct: RegExp, planned: PlannedApi): Promise<Finding[]> {
  const [room, processes, protocol] = await Promise.all([
    findRoom(pool, direct),
    listProcesses(pool),
    findProtocol(pool),
  ]);
  return [judgeRoom(room, planned), ...judgeProcesses(processes, protocol)];
}

/** Judges the connections that the live processes may open, and those that the planned API may open beside them. */
export function judgeRoom(room: ConnectionRoom, { processes, connections }: PlannedApi): Finding {
  const problem = roomProblem(room);
  if (isTandemError(problem)) return failed('fleet', problem.message, problem.remedy ?? '');
  const { most, others, fleet, besideApis } = room;
  const apis = processes * (connections ?? 0);
  if (connections === null || apis + besideApis + others <= most) {
    const live = counted(room.processes, 'live process', 'live processes');
    return ok('fleet', `${live} may open ${fleet} of ${most} connections`);
  }
  const text = `${counted(processes, 'API process', 'API processes')} (API_PROCESSES) may open ${apis} connections, workers and embedded readers ${besideApis}, and other programs hold ${others}, but max_connections allows only ${most}`;
  return failed('fleet', text, 'lower API_PROCESSES or DATABASE_CONNECTIONS, or raise max_connections');
}

const NAMES: Readonly<Record<ProcessKind, readonly [one: string, many: string]>> = {
  api: ['API process', 'API processes'],
  worker: ['worker', 'workers'],
  embedded: ['application with an embedded reader', 'applications with an embedded reader'],
};

/** The most processes that are named. */
const NAMED = 3;

/**
 * Returns a finding for each kind, release and protocol number of processes.
 * @param protocol the number that the schema states
 */
export function judgeProcesses(processes: readonly LiveProcess[], protocol: number): Finding[] {
  const groups = Map.groupBy(processes, ({ kind, release, protocol }) => `${kind} ${release} ${protocol}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const { kind, release } = first;
    const knows = first.protocol === null ? 'freshness protocol not reported' : `freshness protocol ${first.protocol}`;
    const names = group.slice(0, NAMED).map(({ host, pid }) => `process ${pid} on ${host}`);
    const text = `${counted(group.length, ...NAMES[kind])} of release ${release}, ${knows} (${names.join(', ')}${group.length > NAMED ? ', …' : ''})`;
    // Releases that report no number know at most number 1.
    const known = first.protocol ?? 1;
    if (known === protocol) return [ok(kind, text)];
    const idle =
      kind === 'worker' ? ['it takes no work', 'they take no work'] : ['it answers no read', 'they answer no read'];
    const problem = `the database follows protocol ${protocol}, so ${idle[group.length === 1 ? 0 : 1]}`;
    const remedy =
      known > protocol
        ? `tandem migrate, of release ${release}`
        : 'replace this release with the release that migrated the database, or with a newer release';
    return [warning(kind, `${text}: ${problem}`, remedy)];
  });
}
