/**
 * Who reaches the service. That decides who must show a key, whether metrics, which ask for none, are on its port, and
 * by which names it is asked.
 */
import type { ApiKeysSection, HttpSection } from '@tandem/config/environment/environment-sections';
import {
  createHostRule,
  type HostRule,
  isLoopback,
  isOnLoopback,
  type ResolveName,
} from '@tandem/http-server/foreign-request';
import { chooseKeyMode, type KeyMode } from './keys/choose-mode.ts';

interface ExposureSettings {
  readonly http: Pick<HttpSection, 'host' | 'metricsPort'>;
  readonly apiKeys: ApiKeysSection;
  /** Names besides loopback's own. */
  readonly hostNames: readonly string[];
}

export interface Exposure {
  /** Whether only this machine reaches the API. */
  readonly isLocal: boolean;
  /** Whether something may stand before it (a proxy, a cluster) that has to notice when it leaves. */
  readonly isFronted: boolean;
  readonly keys: KeyMode;
  readonly servesMetrics: boolean;
  readonly isOurHost: HostRule;
  /** On the metrics' own port, at which whoever scrapes them asks by whatever address it found. */
  readonly isMetricsHost: HostRule;
}

/**
 * @param resolve the address of a name; undefined where it has none
 * @throws TandemError `config_invalid` where keys are required and no pepper is there
 */
export async function findExposure(
  { http: { host, metricsPort }, apiKeys, hostNames }: ExposureSettings,
  resolve?: ResolveName,
): Promise<Exposure> {
  const listensOnLoopback = await isOnLoopback(host, resolve);
  const { publishedOn } = apiKeys;
  // What resolves to loopback here need not elsewhere: files of hosts say so of a machine's own name. Only what is listened
  // on is known to be what it resolves to.
  const isLocal = publishedOn === host ? listensOnLoopback : isLoopback(publishedOn);
  const keys = chooseKeyMode(apiKeys, isLocal);
  const byName = createHostRule([host, ...hostNames]);
  const byAny = () => true;
  // Without a key a web page whose host name is made to point at loopback could read and change everything, through
  // whatever publishes the API there.
  const isOurHost = listensOnLoopback || (isLocal && keys === null) ? byName : byAny;
  const servesMetrics = metricsPort === null && listensOnLoopback && isLocal && keys === null;
  const isFronted = !(listensOnLoopback && isLocal);
  return { isLocal, isFronted, keys, servesMetrics, isOurHost, isMetricsHost: listensOnLoopback ? byName : byAny };
}
