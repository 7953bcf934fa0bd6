/** Sends generated requests for the API's document to a port with other paths. */
import fc from 'fast-check';
import type { OtherPorts, Port } from '../ports.ts';
import { aliveFaults, probeBytes } from '../probe.ts';
import { fetchDocument } from './document.ts';
import { requests } from './requests.ts';
import { fuzzText } from './run.ts';

/** Returns faults as sentences, each with its request. */
export async function fuzzPort(
  port: Port,
  { apiUrl }: Pick<OtherPorts, 'apiUrl'>,
  options: { readonly numRuns: number; readonly seed: number },
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const request of fc.sample(requests(await fetchDocument(apiUrl)), options)) {
    const text = fuzzText(request);
    const faults = await probeBytes(Buffer.from(text, 'latin1'), request.method, port);
    found.push(...faults.map((fault) => `${port.name}: ${fault}; sent ${JSON.stringify(text.slice(0, 300))}`));
  }
  return [...found, ...(await aliveFaults(port))];
}
