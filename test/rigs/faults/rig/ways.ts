/** The TCP proxies of one program: one for each store. */
import { startProxy, type TcpProxy } from './proxy.ts';
import type { StoreName } from './stores.ts';

export interface Ways extends Readonly<Record<StoreName, TcpProxy>> {
  /** The proxy for the second Postgres, if there are two. */
  readonly standby: TcpProxy | null;
}

/** A server behind a proxy. */
type Led = Readonly<{ url: string }>;
type Servers = Readonly<Record<StoreName, Led>> & { readonly standby: Led | null };

/** @param program the name of the program; the same seed and name give the same random choices */
export async function openWays(
  seed: number,
  program: string,
  servers: Servers,
  onOpen: (proxy: TcpProxy) => void,
): Promise<Ways> {
  const open = async (name: string, { url }: Led) => {
    const proxy = await startProxy({ port: Number(new URL(url).port), seed: seedOf(seed, `${program} ${name}`) });
    onOpen(proxy);
    return proxy;
  };
  return {
    postgres: await open('postgres', servers.postgres),
    cache: await open('cache', servers.cache),
    queue: await open('queue', servers.queue),
    standby: servers.standby && (await open('standby', servers.standby)),
  };
}

export function waysTo(store: StoreName, ways: Ways): readonly TcpProxy[] {
  return store === 'postgres' && ways.standby ? [ways.postgres, ways.standby] : [ways[store]];
}

/** Derives a seed from the session's seed and a name (FNV-1a). */
function seedOf(seed: number, name: string): number {
  return (
    [...name].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193), seed ^ 0x811c9dc5) >>> 0
  );
}
