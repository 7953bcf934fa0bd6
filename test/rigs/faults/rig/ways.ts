/** One program's own ways to the stores: a TCP proxy each. */
import { startProxy, type TcpProxy } from './proxy.ts';
import type { StoreName } from './stores.ts';

export interface Ways extends Readonly<Record<StoreName, TcpProxy>> {
  /** To the second Postgres, where there are two. */
  readonly standby: TcpProxy | null;
}

/** A server that a way leads to. */
type Led = Readonly<{ url: string }>;
type Servers = Readonly<Record<StoreName, Led>> & { readonly standby: Led | null };

/** @param program its name: the same seed and program have the same chances */
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

/** Another one for each name, the same for the same seed. */
function seedOf(seed: number, name: string): number {
  return (
    [...name].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193), seed ^ 0x811c9dc5) >>> 0
  );
}
