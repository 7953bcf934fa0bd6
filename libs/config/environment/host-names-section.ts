/** By which names the API is asked. */
import type { Section } from './environment.ts';

/** `TANDEM_HOSTS` (none): names besides loopback's own, separated by spaces. */
export const hostNames: Section<readonly string[]> = (read) => read.hosts('TANDEM_HOSTS');
