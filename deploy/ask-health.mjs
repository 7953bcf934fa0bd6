/**
 * Checks a container's health without curl: `node ask-health.mjs /readyz`. Asks the worker if WORKER_PORT is set,
 * otherwise the API. Exits with 0 if the status is 2xx. Prints any other result, which `docker inspect` shows.
 */
const { WORKER_PORT, PORT = '8080' } = process.env;
const url = new URL(process.argv[2] ?? '/livez', `http://127.0.0.1:${WORKER_PORT || PORT || 8080}`);

try {
  const response = await fetch(url, { signal: AbortSignal.timeout(4_000) });
  if (!response.ok) fail(`HTTP ${response.status} ${(await response.text()).slice(0, 300)}`);
} catch (error) {
  fail(error.cause?.message ?? error.message);
}

function fail(why) {
  console.error(`${url}: ${why}`);
  process.exit(1);
}
