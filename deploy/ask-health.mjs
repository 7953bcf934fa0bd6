/**
 * A container's health, without curl: `node ask-health.mjs /readyz`. Asks the worker where WORKER_PORT is set, else the
 * API. Exit code 0 if the answer is a 2xx; any other result is printed, for `docker inspect`.
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
