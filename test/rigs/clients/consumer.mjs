/**
 * An application that uses the client in plain JavaScript, for any runtime. It makes every kind of call to a real API,
 * and rejects at the first wrong answer. checkout.fixture.ts starts the service.
 */
import { createClient, isProblem, ProblemError, UnreachableError } from '@tandem/client';

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

/** @param silentUrl an address that accepts connections and never answers */
export async function consume({ url, silentUrl }) {
  const tandem = createClient({ url, source: 'consumer' });
  await readUsers(tandem);
  await seeOwnEvents(tandem);
  await sendFeatures(tandem);
  await readProblems(tandem);
  await giveUp(silentUrl);
  await watchRun(tandem);
}

async function readUsers(tandem) {
  // Reads one user and checks the answer's headers, then reads again with its etag. The first read may run the model, which stores
  // the answer.
  await tandem.predict('repurchase', '2');
  const { answer, etag, cacheStatus } = await tandem.predict('repurchase', '2');
  check('a prediction', [answer.userId, typeof answer.prediction.score], ['2', 'number']);
  check('headers', [etag?.startsWith('W/'), cacheStatus?.startsWith('tandem;')], [true, true]);
  check('an etag', (await tandem.predict('repurchase', '2', { ifNoneMatch: etag })).notModified, true);

  // Reads in the same tick share a request, and each read has its own result.
  const results = await Promise.allSettled(['1', '2', '999', '3', '1'].map((id) => tandem.predict('repurchase', id)));
  const found = results.map((one) => (one.status === 'fulfilled' ? one.value.answer.userId : one.reason.code));
  check('reads of one turn', found, ['1', '2', 'unknown_user', '3', '1']);
  check('a shared request', results[0].value.etag, null);
}

async function seeOwnEvents(tandem) {
  const session = tandem.session();
  const [{ contextVersion: before }] = await session.sendEvents([{ subject: '4', type: 'order.placed' }]);
  for (let version = before + 1; version <= before + 3; version += 1) {
    const id = crypto.randomUUID();
    const [result] = await session.sendEvents([{ id, subject: '4', type: 'order.placed', data: { orders: version } }]);
    check('an acknowledgement', [result.status, result.contextVersion], ['accepted', version]);
    const after = await session.predict('repurchase', '4');
    check('a read after an event', after.answer.predictedFromContextVersion >= version, true);
  }
}

async function sendFeatures(tandem) {
  const [checkedOut] = await tandem.predictUsers('checkout', [
    { userId: '2', features: { amount: 12.5, channel: 'app' } },
  ]);
  check('request features', checkedOut.answer.prediction, { orders: 2, amount: 12.5, channel: 1 });
  const candidates = [10, 30, 20].map((amount) => ({ id: `${amount}`, features: { amount } }));
  const { ranked } = await tandem.rank('checkout', { userId: '2', candidates, by: 'amount' });
  const ids = ranked.map(({ id }) => id);
  check('a ranking', ids, ['30', '20', '10']);
}

async function readProblems(tandem) {
  const unknown = await failureOf(tandem.predict('nope', '1'));
  const { status, code, detail } = unknown;
  check('a problem', [unknown instanceof ProblemError, status, code], [true, 404, 'unknown_predictor']);
  check('its text', [isProblem(unknown, 'unknown_predictor'), detail.includes('nope')], [true, true]);
  const refused = await failureOf(createClient({ url: 'http://127.0.0.1:9', retryReadsForMs: 0 }).predictors());
  check('no server', [refused instanceof UnreachableError, refused.timedOut], [true, false]);
}

/** Checks that a deadline and the caller's abort end a request in progress. */
async function giveUp(silentUrl) {
  const hasty = createClient({ url: silentUrl, timeoutMs: 50, retryReadsForMs: 0 });
  const late = await failureOf(hasty.predict('repurchase', '1'));
  check('a deadline', [late instanceof UnreachableError, late.timedOut], [true, true]);

  const leaving = new AbortController();
  const abortOnceSent = (input, init) => {
    const sent = fetch(input, init);
    leaving.abort(new Error('enough'));
    return sent;
  };
  const patient = createClient({ url: silentUrl, fetch: abortOnceSent });
  check('an abort', (await failureOf(patient.user('1', { signal: leaving.signal }))).message, 'enough');
}

async function watchRun(tandem) {
  const run = await tandem.runs.start({ predictor: 'repurchase', scope: { userIds: ['1'] } });
  const watching = new AbortController();
  const watched = [];
  const watch = async () => {
    for await (const state of tandem.runs.watch(run.id, { signal: watching.signal })) {
      watched.push(state.id);
      watching.abort(new Error('seen'));
    }
  };
  const stopped = await failureOf(watch());
  check('a run that is watched', [watched, stopped.message], [[run.id], 'seen']);
}
