/** The reader of the planted design "version in Redis": its certificate uses the hints. */

import type { Certificate } from '@tandem/freshness/certificate';
import { createKeys, userKeyOf } from '@tandem/online-store/keys';
import { askRedis } from './redis-of-plants.ts';

const keys = createKeys();

export async function versionsOfRedis(certificate: Certificate, userIds: readonly string[]): Promise<Certificate> {
  const hints = await askRedis((redis) => redis.mget(userIds.map((userId) => keys.hint(userKeyOf(userId)))));
  const versions = new Map(userIds.map((userId, i) => [userId, Number(hints[i]?.split('.')[1] ?? 0)]));
  return {
    ...certificate,
    user(userId, predictor) {
      const version = versions.get(userId) ?? 0;
      return { ...certificate.user(userId, predictor), version, touched: version };
    },
  };
}
