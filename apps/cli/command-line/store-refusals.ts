/** Explains why Postgres or Redis rejects a connection, with the fix. */

interface StoreRefusal {
  /** Replaces the store's message where that is not enough. */
  readonly message?: string;
  readonly remedy: string;
}

/** Undefined where the error is no refusal that is known here. */
export function explainStoreRefusal(error: unknown): StoreRefusal | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return BY_CODE[code] ?? BY_MESSAGE.find(({ says }) => says.test(error.message))?.refusal;
}

const UNKNOWN_CERTIFICATE: StoreRefusal = {
  remedy:
    'name the file of its CA: sslrootcert=<file> in DATABASE_URL, or NODE_EXTRA_CA_CERTS=<file>, which Redis takes too; sslmode=no-verify encrypts without a check of the certificate',
};

/** Explanations by SQLSTATE, or by Node's code of a refused certificate. */
const BY_CODE: Readonly<Record<string, StoreRefusal>> = {
  '28P01': { remedy: 'correct the password in DATABASE_URL' },
  '28000': { remedy: 'correct user and host in DATABASE_URL, or what pg_hba.conf allows them' },
  '3D000': { remedy: 'create the database (createdb), or correct its name in DATABASE_URL' },
  '42501': {
    remedy:
      'run `tandem doctor`, which names the grant; or use another user in DATABASE_URL (feature queries: FEATURES_DATABASE_URL)',
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CERTIFICATE,
};

/** The driver's words, and Redis' error words, which come without a code. */
const BY_MESSAGE: readonly { readonly says: RegExp; readonly refusal: StoreRefusal }[] = [
  {
    says: /^(self-signed certificate|unable to (verify the first|get local issuer) certificate)/,
    refusal: UNKNOWN_CERTIFICATE,
  },
  {
    says: /^The server does not support SSL connections/,
    refusal: {
      message: 'Postgres there has no TLS (ssl = off), and sslmode in DATABASE_URL demands it',
      remedy:
        'set ssl = on in postgresql.conf, with a certificate; or remove sslmode from DATABASE_URL where you trust the network',
    },
  },
  {
    says: /^NOAUTH/,
    refusal: {
      message: 'Redis there requires a password (NOAUTH), and the address has none',
      remedy:
        "write it into REDIS_URL (the queue's: QUEUE_REDIS_URL): redis://:password@host:6379, or redis://user:password@… for a user of its ACL",
    },
  },
  {
    says: /^WRONGPASS/,
    refusal: {
      message: 'Redis there refuses the user or the password (WRONGPASS)',
      remedy:
        "correct them in REDIS_URL (the queue's: QUEUE_REDIS_URL); characters such as @ : / # are percent-encoded there",
    },
  },
  {
    says: /^ERR AUTH .*without any password configured/,
    refusal: {
      message: 'Redis there has no password, and the address has one',
      remedy: "remove it from REDIS_URL (the queue's: QUEUE_REDIS_URL), or set requirepass in redis.conf",
    },
  },
];
