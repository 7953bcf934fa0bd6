/** Runs the consumer with Node, Bun or Deno, and prints OK. The arguments are the two addresses. */
import { consume } from './consumer.mjs';

const [url, silentUrl] = globalThis.process?.argv.slice(-2) ?? globalThis.Deno.args;
await consume({ url, silentUrl });
console.log('OK');
