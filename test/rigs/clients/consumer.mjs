/**
 * An application of the client in plain JavaScript, for any runtime: it asks a real API for everything that an application
 * does, and prints OK. Its argument is the address; the service is that of checkout.fixture.ts.
 */
import { createClient, isProblem, ProblemError, UnreachableError } from '@tandem/client';

const url = globalThis.process?.argv.at(-1) ?? globalThis.Deno.args[0];

function check(what, found, expected) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}

async function failureOf(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error('the call succeeded');
}

const tandem = createClient({ url, source: 'consumer' });

// One user, with the headers of the answer; then from the etag.
const { answer, etag, cacheStatus } = await tandem.predict('repurchase', '2');
check('a prediction', [answer.userId, typeof answer.prediction.score], ['2', 'number']);
check('headers', [etag?.startsWith('W/'), cacheStatus?.startsWith('tandem;')], [true, true]);
check('an etag', (await tandem.predict('repurchase', '2', { ifNoneMatch: etag })).notModified, true);

// Users of one turn, each with its own result.
const results = await Promise.allSettled(['1', '2', '999', '3', '1'].map((id) => tandem.predict('repurchase', id)));
const found = results.map((one) => (one.status === 'fulfilled' ? one.value.answer.userId : one.reason.code));
check('reads of one turn', found, ['1', '2', 'unknown_user', '3', '1']);
check('a shared request', results[0].value.etag, null);

// A session sees its own events.
const session = tandem.session();
for (let version = 1; version <= 3; version += 1) {
  const id = crypto.randomUUID();
  const [result] = await session.sendEvents([{ id, subject: '4', type: 'order.placed', data: { orders: version } }]);
  check('an acknowledgement', [result.status, result.contextVersion], ['accepted', version]);
  const after = await session.predict('repurchase', '4');
  check('a read after an event', after.answer.predictedFromContextVersion >= version, true);
}

// Request features and rankings.
const [checkedOut] = await tandem.predictUsers('checkout', [{ userId: '2', features: { amount: 12.5, channel: 'app' } }]);
check('request features', checkedOut.answer.prediction, { orders: 2, amount: 12.5, channel: 1 });
const candidates = [10, 30, 20].map((amount) => ({ id: `${amount}`, features: { amount } }));
const { ranked } = await session.rank('checkout', { userId: '4', candidates, by: 'amount' });
check('a ranking', ranked.map(({ id }) => id), ['30', '20', '10']);

// Errors.
const unknown = await failureOf(tandem.predict('nope', '1'));
check('a problem', [unknown instanceof ProblemError, isProblem(unknown, 'unknown_predictor'), unknown.status], [true, true, 404]);
const refused = await failureOf(createClient({ url: 'http://127.0.0.1:9', retryReadsForMs: 0 }).predictors());
check('no answer', [refused instanceof UnreachableError, refused.timedOut], [true, false]);
const late = await failureOf(tandem.user('1', { signal: AbortSignal.abort(new Error('enough')) }));
check('an abort', late.message, 'enough');
const hanging = createClient({ url, timeoutMs: 50, fetch: (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) });
check('a deadline', (await failureOf(hanging.predict('repurchase', '1', { retryForMs: 0 }))).timedOut, true);

// A stream: the progress of a run.
const run = await tandem.runs.start({ predictor: 'repurchase', scope: { userIds: ['1'] } });
const watching = new AbortController();
const watched = [];
const stopped = await failureOf(
  (async () => {
    for await (const state of tandem.runs.watch(run.id, { signal: watching.signal })) {
      watched.push(state.id);
      watching.abort(new Error('seen'));
    }
  })(),
);
check('a run that is watched', [watched, stopped.message], [[run.id], 'seen']);

console.log('OK');
