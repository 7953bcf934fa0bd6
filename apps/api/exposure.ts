/**
 * Decides who can reach the service. This decides whether keys are required, whether the same port serves metrics
 * (which need no key), and which host names are accepted.
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
  /** Accepted host names in addition to those of loopback. */
  readonly hostNames: readonly string[];
}

export interface Exposure {
  /** Whether only this machine reaches the API. */
  readonly isLocal: boolean;
  /**
   * Whether a proxy or a cluster may be in front of the API. If so, the API drains long enough for the proxy to notice.
   */
  readonly isFronted: boolean;
  readonly keys: KeyMode;
  readonly servesMetrics: boolean;
  readonly isOurHost: HostRule;
  /** The host rule of the separate metrics port, which scrapers reach at any address. */
  readonly isMetricsHost: HostRule;
}

/**
 * Finds who can reach the service, and which access follows from that.
 * @param resolve returns the address of a name; undefined if it has none
 * @throws TandemError `config_invalid` if keys are required without a pepper
 */
export async function findExposure(
  { http: { host, metricsPort }, apiKeys, hostNames }: ExposureSettings,
  resolve?: ResolveName,
): Promise<Exposure> {
  const listensOnLoopback = await isOnLoopback(host, resolve);
  const { publishedOn } = apiKeys;
  // A name that resolves to loopback here may not do so elsewhere: hosts files map a machine's own name to loopback.
  // The resolved address is certain only for the listening address.
  const isLocal = publishedOn === host ? listensOnLoopback : isLoopback(publishedOn);
  const keys = chooseKeyMode(apiKeys, isLocal);
  const byName = createHostRule([host, ...hostNames]);
  const byAny = () => true;
  // If keys are off, a program may publish the API on loopback. A web page whose host name resolves to loopback could
  // then read and change everything.
  const isOurHost = listensOnLoopback || (isLocal && keys === null) ? byName : byAny;
  const servesMetrics = metricsPort === null && listensOnLoopback && isLocal && keys === null;
  const isFronted = !(listensOnLoopback && isLocal);
  return { isLocal, isFronted, keys, servesMetrics, isOurHost, isMetricsHost: listensOnLoopback ? byName : byAny };
}
