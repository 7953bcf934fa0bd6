/** Explains why Postgres or Redis rejects a connection, with the fix. */
import { loginRemedy } from '@tandem/offline-store/sql/login-remedies';

interface StoreRefusal {
  /** Replaces the message of the store if that message is not enough. */
  readonly message?: string;
  readonly remedy: string;
}

/** Returns the explanation; undefined if the error is not a known rejection. */
export function explainStoreRefusal(error: unknown): StoreRefusal | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const remedy = loginRemedy(code, 'DATABASE_URL');
  if (remedy !== undefined) return { remedy };
  return BY_CODE[code] ?? BY_MESSAGE.find(({ says }) => says.test(error.message))?.refusal;
}

const UNKNOWN_CERTIFICATE: StoreRefusal = {
  remedy:
    'name the file of its CA: sslrootcert=<file> in DATABASE_URL, or NODE_EXTRA_CA_CERTS=<file>, which also works for Redis; sslmode=no-verify encrypts without checking the certificate',
};

/** Explanations by SQLSTATE, or by the code of Node.js for a rejected certificate. */
const BY_CODE: Readonly<Record<string, StoreRefusal>> = {
  '42501': {
    remedy:
      'run `tandem doctor`, which names the grant; or use another user in DATABASE_URL (feature queries: FEATURES_DATABASE_URL)',
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CERTIFICATE,
};

/** Explanations by the text of an error, for errors of drivers and Redis without a code. */
const BY_MESSAGE: readonly { readonly says: RegExp; readonly refusal: StoreRefusal }[] = [
  {
    says: /^(self-signed certificate|unable to (verify the first|get local issuer) certificate)/,
    refusal: UNKNOWN_CERTIFICATE,
  },
  {
    says: /^The server does not support SSL connections/,
    refusal: {
      message: 'the Postgres server has no TLS (ssl = off), but sslmode in DATABASE_URL demands it',
      remedy:
        'set ssl = on and a certificate in postgresql.conf; or remove sslmode from DATABASE_URL if you trust the network',
    },
  },
  {
    says: /^NOAUTH/,
    refusal: {
      message: 'the Redis server requires a password (NOAUTH), but the address has none',
      remedy:
        "write it into REDIS_URL (the queue's: QUEUE_REDIS_URL): redis://:password@host:6379, or redis://user:password@… for a user of its ACL",
    },
  },
  {
    says: /^WRONGPASS/,
    refusal: {
      message: 'the Redis server rejects the user or the password (WRONGPASS)',
      remedy:
        "correct them in REDIS_URL (the queue's: QUEUE_REDIS_URL); characters such as @ : / # are percent-encoded there",
    },
  },
  {
    says: /^ERR AUTH .*without any password configured/,
    refusal: {
      message: 'the Redis server has no password, but the address has one',
      remedy: "remove it from REDIS_URL (the queue's: QUEUE_REDIS_URL), or set requirepass in redis.conf",
    },
  },
];
