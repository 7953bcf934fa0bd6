/** `tandem predict`: reads the predictions of one or more users. */

import { InvalidArgumentError } from '@commander-js/extra-typings';
import type { Answered, ManyResult, NotModified, PredictOptions, UserWithFeatures } from '@tandem/client/predictions';
import { type Cli, createApiCommand, given, type OptionsOf, parseWhole, present } from '@tandem/commands/command';
import { CommandFailure, usageError } from '@tandem/commands/failure';
import { renderAnswer, renderManyAnswers } from '@tandem/commands/output/answer';
import { connect } from './client/connect.ts';

type Features = UserWithFeatures['features'];

function createPredictCommand() {
  return createApiCommand({
    name: 'predict',
    description: 'read the predictions of one or more users',
    detail: 'Exit codes: 0 if all users have an answer; 1 if a user has none or the request failed; 2 for wrong usage.',
    example: 'tandem predict repurchase 42 --no-cache',
  })
    .argument('<predictor>', 'its name in tandem.config.ts')
    .argument('<userId...>', 'up to 1,000')
    .option(
      '--feature <name=value>',
      'a request feature: a number, true, false or a text; may be repeated',
      parseFeature,
    )
    .option('--no-cache', 'infer now, ignoring stored predictions')
    .option('--only-if-cached', 'never infer; accept only a stored answer')
    .option('--max-age <seconds>', 'the oldest answer to accept, in seconds', parseWhole(0))
    .option('--max-stale [seconds]', 'accept a stale stored answer, up to this many seconds', parseWhole(0))
    .option(
      '--min-context <token>',
      'require this context or a newer one (the contextToken of an event); one user only',
    )
    .option('--if-none-match <etag>', 'print nothing if the answer with this etag is still current; one user only');
}

type Options = OptionsOf<typeof createPredictCommand>;

export function predictCommand(cli: Cli) {
  return createPredictCommand().action(async (predictor, userIds, options) => {
    const [first, ...others] = userIds;
    if (options.feature) await predictUsers(cli, predictor, userIds, options.feature, options);
    else if (first !== undefined && others.length === 0) await predictOne(cli, predictor, first, options);
    else await predictMany(cli, predictor, userIds, options);
  });
}

async function predictOne(cli: Cli, predictor: string, userId: string, options: Options): Promise<void> {
  const client = connect(cli, options);
  const { ifNoneMatch, ...demands } = demandsOf(options);
  const result: Answered | NotModified =
    ifNoneMatch === undefined
      ? await client.predict(predictor, userId, demands)
      : await client.predict(predictor, userId, { ...demands, ifNoneMatch });
  const { answer, etag, cacheStatus, notModified } = result;
  present(cli, options, notModified ? { notModified, etag } : { ...answer, etag, cacheStatus }, () =>
    notModified ? [`not modified: the answer ${etag} is unchanged`] : renderAnswer(result, cli.paint),
  );
}

async function predictMany(cli: Cli, predictor: string, userIds: readonly string[], options: Options): Promise<void> {
  const { minContext, ifNoneMatch, ...demands } = demandsOf(options);
  if (minContext !== undefined || ifNoneMatch !== undefined) {
    throw usageError('--min-context and --if-none-match require exactly one user', 'leave them out, or read one user');
  }
  presentMany(cli, options, await connect(cli, options).predictMany(predictor, userIds, demands));
}

/** Reads the users with the same request features for each. */
async function predictUsers(
  cli: Cli,
  predictor: string,
  userIds: readonly string[],
  features: Features,
  options: Options,
): Promise<void> {
  const { minContext, ifNoneMatch, ...demands } = demandsOf(options);
  if (minContext !== undefined || ifNoneMatch !== undefined) {
    throw usageError('--min-context and --if-none-match cannot be used with --feature', 'leave them out');
  }
  const users = userIds.map((userId) => ({ userId, features }));
  presentMany(cli, options, await connect(cli, options).predictUsers(predictor, users, demands));
}

function presentMany(cli: Cli, options: Options, results: readonly ManyResult[]): void {
  present(
    cli,
    options,
    { results: results.map(({ userId, answer, problem }) => answer ?? { userId, error: problem }) },
    () => renderManyAnswers(results, cli.paint),
  );
  if (results.some(({ answer }) => answer === null)) throw new CommandFailure('', { presented: true });
}

/** Parses `name=value`. A quoted value is a text, even if it looks like a number: `code="42"`. */
function parseFeature(text: string, earlier: Features = {}): Features {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write name=value, such as amount=12.5.');
  const name = text.slice(0, at);
  if (Object.hasOwn(earlier, name)) throw new InvalidArgumentError(`${name} occurs twice.`);
  return { ...earlier, [name]: parseValue(text.slice(at + 1)) };
}

function parseValue(text: string): Features[string] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  } catch {
    // The value is a text without quotes.
  }
  return text;
}

function demandsOf(options: Options): PredictOptions {
  const { cache, onlyIfCached, maxAge, maxStale, minContext, ifNoneMatch } = options;
  if (onlyIfCached && !cache) {
    throw usageError('--no-cache and --only-if-cached contradict each other');
  }
  return {
    ...(cache ? {} : { noCache: true }),
    ...(onlyIfCached ? { onlyIfCached } : {}),
    ...given({ maxAge, maxStale, minContext, ifNoneMatch }),
  };
}
