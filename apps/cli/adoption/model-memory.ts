/** The memory that a model may take where it is looked at or tried: as much as the processes have that will serve it. */
import { readEnvironment } from '@tandem/config/environment/environment';
import { inference } from '@tandem/config/environment/environment-sections';
import type { Cli } from '../cli.ts';

/** MiB, of `INFERENCE_MEMORY_MB`. */
export function modelMemoryMb({ env }: Pick<Cli, 'env'>): number {
  return readEnvironment(env, { inference }).inference.memoryMb;
}
