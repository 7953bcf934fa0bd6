/** Readers of option values; each refuses with what it expects. */
import { InvalidArgumentError } from 'commander';

/** A whole number of at least `least`. */
export function parseWhole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`a whole number from ${least} on is expected.`);
  };
}

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('a number is expected.');
}

/** Above 0, below 1. */
export function parseShare(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 1) return value;
  throw new InvalidArgumentError('a number above 0 and below 1 is expected, such as 0.001.');
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port > 0 && port < 65_536) return port;
  throw new InvalidArgumentError('a port from 1 to 65535 is expected.');
}

/** `a,b, c` */
export function parseList(text: string): string[] {
  const entries = text.split(',').map((entry) => entry.trim());
  if (entries.every((entry) => entry !== '')) return entries;
  throw new InvalidArgumentError('values separated by commas are expected.');
}

/** The value of `--data`: a JSON object. */
export function parseJsonObject(text: string): Record<string, unknown> {
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError(`a JSON object is expected, like '{"amount": 12.5}'.`);
}

function parseJson(text: string): unknown {
  try {
    // 1e400 becomes Infinity, which would be sent as null.
    return JSON.parse(text, (name, value: unknown) => {
      if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${name} is not a finite number`);
      return value;
    });
  } catch (error) {
    throw new InvalidArgumentError(`it is not JSON (${error instanceof Error ? error.message : error}).`);
  }
}

/** `auc=0.82`, several times: each adds a name to those before. */
export function parseMetric(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const [, name, number] = /^([^=]{1,64})=(\S+)$/.exec(text) ?? [];
  const value = Number(number);
  if (name !== undefined && number !== undefined && Number.isFinite(value)) return { ...before, [name]: value };
  throw new InvalidArgumentError('a name and a number are expected, such as auc=0.82.');
}
