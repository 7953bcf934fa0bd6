/** Checks this machine: Node.js, the disk and the port of the API. */
import { statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Finding, failed, ok, warning } from '@tandem/commands/output/finding';
import { counted } from '@tandem/commands/output/text';
import { isPortFree } from '@tandem/local-servers/ports';
import { findPortHolder } from './port-holder.ts';

/** The first version that strips types without a flag. */
const OLDEST_NODE = [22, 18] as const;
const PINNED_MAJOR = 24;
/** The releases with which the tests were run. */
const TESTED_MAJORS = [22, 24, 26];
const MB = 1024 * 1024;
const DISK_NEEDED_MB = 200;
const DISK_WANTED_MB = 2_000;

export function judgeNode(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  const remedy = `use Node ${PINNED_MAJOR}: npm scripts do so automatically`;
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    return failed('node', `${version} is too old`, remedy);
  }
  if (!TESTED_MAJORS.includes(major)) return warning('node', `${version} is not the tested version`, remedy);
  return ok('node', version);
}

export function judgeDisk(folder: string, freeMb: number = freeMegabytes(folder)): Finding {
  const text = `${freeMb.toLocaleString('en-US')} MB free on the disk of ${folder}`;
  if (freeMb < DISK_NEEDED_MB) return failed('disk', text, 'free some space: Postgres stops when the disk is full');
  if (freeMb < DISK_WANTED_MB) return warning('disk', text, 'free some space before a large run');
  return ok('disk', text);
}

function freeMegabytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((bavail * bsize) / MB);
}

/** Judges whether this machine has enough cores for this number of API processes. */
export function judgeApiProcesses(processes: number, cores: number = availableParallelism()): Finding {
  const text = `${counted(processes, 'API process', 'API processes')} on ${counted(cores, 'core')}`;
  if (processes <= cores) return ok('processes', text);
  const cost = 'more processes than cores use more memory, but serve no more reads';
  return warning('processes', `${text}: ${cost}`, 'lower API_PROCESSES');
}

/**
 * Checks whether the API can listen on its port.
 * @param port the port on which the API will listen
 * @param apiUrl the URL of the API of this folder; null if none runs
 */
export async function judgePort(port: number, apiUrl: string | null): Promise<Finding> {
  if (await isPortFree(port)) return ok('port', `${port} is free`);
  if (apiUrl !== null && (await isTandem(apiUrl))) return ok('port', `${port}: the API answers there`);
  const holder = findPortHolder(port);
  const remedy = `end that program, or set PORT to another port`;
  return warning('port', `${port} is taken${holder === undefined ? '' : ` by ${holder}`}`, remedy);
}

function isTandem(apiUrl: string): Promise<boolean> {
  return fetch(`${apiUrl}/livez`, { signal: AbortSignal.timeout(2_000), redirect: 'error' }).then(
    ({ ok }) => ok,
    () => false,
  );
}
