/**
 * Rejects requests of web pages of other sites. A browser sends simple requests for any page, even to loopback. If the
 * page's host name resolves to this machine (DNS rebinding), the page can also read the answers. Of the headers below,
 * programs send only Host.
 */
import { lookup } from 'node:dns/promises';
import { TandemError } from '@tandem/freshness/errors';

/** Returns whether a Host header names this service. */
export type HostRule = (host: string) => boolean;

/** The part of a request that is checked here, such as of a Hono request. */
export interface RequestHead {
  readonly url: string;
  header(name: string): string | undefined;
}

const LOOPBACK_ADDRESS = /^(127(\.\d{1,3}){3}|::1|localhost)$/i;
const LOOPBACK_HOST = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)(:\d*)?$/i;

export function isLoopback(address: string): boolean {
  return LOOPBACK_ADDRESS.test(address);
}

/** Resolves a name to its address; undefined if it has none. */
export type ResolveName = (name: string) => Promise<string | undefined>;

/** Returns whether a server on this name or address listens only on loopback. */
export async function isOnLoopback(host: string, resolve: ResolveName = resolveName): Promise<boolean> {
  return isLoopback((await resolve(host)) ?? host);
}

/** Resolves a name as the server does. Without an address, the server cannot listen either. */
async function resolveName(name: string): Promise<string | undefined> {
  return (await lookup(name).catch(() => null))?.address;
}

/**
 * Creates a check of the Host header.
 * @param names further names or addresses of this service, besides those of loopback
 */
export function createHostRule(names: readonly string[]): HostRule {
  const configured = new Set(names.map((name) => name.toLowerCase()));
  // The last Host is remembered, since a client sends the same one in each request.
  let lastOfOurs = '';
  return (given) => {
    if (given === lastOfOurs && given !== '') return true;
    const isOurs = LOOPBACK_HOST.test(given) || configured.has(given.toLowerCase().replace(/:\d*$/, ''));
    if (isOurs) lastOfOurs = given;
    return isOurs;
  };
}

/** Throws a TandemError `forbidden` if the Host header names another machine. */
export function checkHost(req: RequestHead, isOurs: HostRule): void {
  const host = hostOf(req);
  if (isOurs(host)) return;
  throw new TandemError(
    'forbidden',
    `This service is published on loopback and does not answer to ${JSON.stringify(host.slice(0, 80))}.`,
    {
      field: 'Host',
      remedy: 'use localhost, or add the host to TANDEM_HOSTS; a proxy on the same machine can send Host: localhost',
    },
  );
}

/** Throws a TandemError `forbidden` if a page of another origin requests a change. */
export function checkOrigin(req: RequestHead): void {
  const site = req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw refusePage('Sec-Fetch-Site', site);
  const origin = req.header('origin');
  if (origin === undefined) return;
  const host = hostOf(req).toLowerCase();
  if (origin !== `http://${host}` && origin !== `https://${host}`) throw refusePage('Origin', origin);
}

/** Returns the Host header, or the URL's host for a request without one: HTTP/1.0 allows that. */
function hostOf(req: RequestHead): string {
  return req.header('host') ?? new URL(req.url).host;
}

function refusePage(field: string, value: string): TandemError {
  const said = JSON.stringify(value.slice(0, 80));
  return new TandemError('forbidden', `A web page of another origin sent this request (${field}: ${said}).`, {
    field,
    remedy: "send it from the application's own server, or from a page of this service's own origin",
  });
}
