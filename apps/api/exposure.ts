/**
 * Decides who can reach the service. From that follow whether keys are required, whether metrics, which need none, are
 * on the same port, and the accepted host names.
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
  /** Whether a proxy or a cluster may be in front, which has to notice when the API leaves. */
  readonly isFronted: boolean;
  readonly keys: KeyMode;
  readonly servesMetrics: boolean;
  readonly isOurHost: HostRule;
  /** For the metrics' own port, which scrapers reach at any address. */
  readonly isMetricsHost: HostRule;
}

/**
 * @param resolve the address of a name; undefined if it has none
 * @throws TandemError `config_invalid` if keys are required without a pepper
 */
export async function findExposure(
  { http: { host, metricsPort }, apiKeys, hostNames }: ExposureSettings,
  resolve?: ResolveName,
): Promise<Exposure> {
  const listensOnLoopback = await isOnLoopback(host, resolve);
  const { publishedOn } = apiKeys;
  // A name that resolves to loopback here may not do so elsewhere: hosts files map a machine's own name. Only the
  // listening address is certain to be what it resolves to.
  const isLocal = publishedOn === host ? listensOnLoopback : isLoopback(publishedOn);
  const keys = chooseKeyMode(apiKeys, isLocal);
  const byName = createHostRule([host, ...hostNames]);
  const byAny = () => true;
  // Without a key, a web page whose host name points at loopback could read and change everything, through any program
  // that publishes the API there.
  const isOurHost = listensOnLoopback || (isLocal && keys === null) ? byName : byAny;
  const servesMetrics = metricsPort === null && listensOnLoopback && isLocal && keys === null;
  const isFronted = !(listensOnLoopback && isLocal);
  return { isLocal, isFronted, keys, servesMetrics, isOurHost, isMetricsHost: listensOnLoopback ? byName : byAny };
}
