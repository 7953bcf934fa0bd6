/**
 * What a web page of elsewhere may not do here. A browser sends requests for any page that it shows, to loopback as well
 * and without asking first where they are simple ones; and a page whose host name is made to point at this machine
 * (DNS rebinding) may even read the answers. Programs send none of the headers below but Host, and are not concerned.
 */
import { RequestError } from './request-error.ts';

/** Whether a Host header names this service. */
export type HostRule = (host: string) => boolean;

/** What is asked of a request here: a Hono request is one. */
export interface RequestHead {
  readonly url: string;
  header(name: string): string | undefined;
}

const LOOPBACK_ADDRESS = /^(127(\.\d{1,3}){3}|::1|localhost)$/i;
const LOOPBACK_HOST = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)(:\d*)?$/i;

export function isLoopback(address: string): boolean {
  return LOOPBACK_ADDRESS.test(address);
}

/** @param names that are this service's besides loopback's own; names or addresses */
export function createHostRule(names: readonly string[]): HostRule {
  const configured = new Set(names.map((name) => name.toLowerCase()));
  // A client says the same in each of its requests.
  let lastOfOurs = '';
  return (given) => {
    if (given === lastOfOurs && given !== '') return true;
    const isOurs = LOOPBACK_HOST.test(given) || configured.has(given.toLowerCase().replace(/:\d*$/, ''));
    if (isOurs) lastOfOurs = given;
    return isOurs;
  };
}

/** Throws a RequestError `forbidden` where the Host header names another machine. */
export function checkHost(req: RequestHead, isOurs: HostRule): void {
  const host = hostOf(req);
  if (isOurs(host)) return;
  throw new RequestError('forbidden', `This service is published on loopback, and is not ${JSON.stringify(host)}.`, {
    field: 'Host',
    remedy: 'ask for localhost, or name the host in TANDEM_HOSTS; a proxy on the same machine may send Host: localhost',
  });
}

/** Throws a RequestError `forbidden` where a page of another origin asks for a change. */
export function checkOrigin(req: RequestHead): void {
  const site = req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw refusePage('Sec-Fetch-Site', site);
  const origin = req.header('origin');
  if (origin === undefined) return;
  const host = hostOf(req).toLowerCase();
  if (origin !== `http://${host}` && origin !== `https://${host}`) throw refusePage('Origin', origin);
}

/** Node lets no request without Host through; one that was made in this process may have none. */
function hostOf(req: RequestHead): string {
  return req.header('host') ?? new URL(req.url).host;
}

function refusePage(field: string, value: string): RequestError {
  const said = JSON.stringify(value.slice(0, 80));
  return new RequestError('forbidden', `A web page of another origin asks for this (${field}: ${said}).`, {
    field,
    remedy: "send it from the application's own server, or from a page of this service's own origin",
  });
}
