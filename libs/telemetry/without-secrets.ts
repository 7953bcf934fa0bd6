/**
 * Copies what is to be logged, without the secrets in it: values of secret names, passwords in URLs, credentials in
 * texts. It also makes any value fit for JSON (bigint, cycles, bytes, depth), since a log line must never throw.
 */

const SECRET_NAME =
  /^(authorization|proxy-authorization|cookie|set-cookie|password|passwd|pgpassword|secret|token|pepper|api-?key|x-api-key|private-?key)$/i;
const MASK = '***';
const MAX_DEPTH = 8;
const MAX_TEXT = 8192;
const MAX_ITEMS = 200;

/** @param ofError how an Error is written */
export function withoutSecrets(value: unknown, ofError: (error: Error) => object): unknown {
  const open = new Set<object>();

  function copy(one: unknown, depth: number): unknown {
    if (typeof one === 'string') return maskText(one);
    if (typeof one === 'bigint') return one.toString();
    if (typeof one === 'function' || typeof one === 'symbol') return `(${typeof one})`;
    if (typeof one === 'number' && !Number.isFinite(one)) return String(one);
    if (typeof one !== 'object' || one === null) return one;
    if (one instanceof Date) return Number.isNaN(one.getTime()) ? 'Invalid Date' : one.toISOString();
    if (ArrayBuffer.isView(one)) return `(${one.byteLength} bytes)`;
    if (one instanceof URL) return maskText(one.href);
    if (open.has(one)) return '(cycle)';
    if (depth > MAX_DEPTH) return '(deeper)';
    open.add(one);
    try {
      return copyObject(one instanceof Error ? ofError(one) : one, depth);
    } finally {
      open.delete(one);
    }
  }

  function copyObject(one: object, depth: number): unknown {
    if (one instanceof Map) return copyObject(Object.fromEntries(one), depth);
    if (one instanceof Set) return copyObject([...one], depth);
    if (Array.isArray(one)) {
      const kept: unknown[] = one.slice(0, MAX_ITEMS).map((item) => copy(item, depth + 1));
      return one.length > MAX_ITEMS ? [...kept, `(${one.length - MAX_ITEMS} more)`] : kept;
    }
    const entries = Object.entries(one).slice(0, MAX_ITEMS);
    return Object.fromEntries(
      entries.map(([name, item]) => [name, SECRET_NAME.test(name) && item != null ? MASK : copy(item, depth + 1)]),
    );
  }

  return copy(value, 0);
}

/** Passwords in URLs and connection strings, and credentials of HTTP, masked; overlong texts cut. */
export function maskText(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
  return short
    .replace(/(:\/\/[^/?#@:\s"']*):[^\s"']*@/g, `$1:${MASK}@`)
    .replace(/\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{4,}/gi, `$1 ${MASK}`)
    .replace(/\b(tandem_(?:live|test)_[0-9a-f]{16})_[0-9a-z_]+/gi, `$1_${MASK}`)
    .replace(/\b((?:pg)?password|secret|api_?key|access_token)(\s*[=:]\s*)[^\s&;,"']+/gi, `$1$2${MASK}`);
}
