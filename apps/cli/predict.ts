/** `tandem predict`: the answer for one user, or for many. */
import type { Answered, NotModified, PredictOptions } from '@tandem/client/predictions';
import type { Command } from 'commander';
import { type ApiOptions, type Cli, createApiCommand, given, parseWhole, present } from './command-line/command.ts';
import { connect } from './command-line/environment.ts';
import { CommandFailure, usageError } from './command-line/failure.ts';
import { renderAnswer, renderManyAnswers } from './output/answer.ts';

interface Options extends ApiOptions {
  readonly cache: boolean;
  readonly onlyIfCached?: boolean;
  readonly maxAge?: number;
  readonly maxStale?: number | true;
  readonly minContext?: string;
  readonly ifNoneMatch?: string;
}

export function predictCommand(cli: Cli): Command {
  return createApiCommand({
    name: 'predict',
    description: 'read the predictions of one or more users',
    detail: 'Ends with 0: all answered; 1: a user without an answer, or none at all; 2: wrong usage.',
    example: 'tandem predict repurchase 42 --no-cache',
  })
    .argument('<predictor>', 'as named in tandem.config.ts')
    .argument('<userId...>', 'up to 1,000')
    .option('--no-cache', 'infer now, whatever is stored')
    .option('--only-if-cached', 'only a stored answer')
    .option('--max-age <seconds>', 'nothing older', parseWhole(0))
    .option('--max-stale [seconds]', 'accept a stored answer that is stale, for so long', parseWhole(0))
    .option('--min-context <token>', "only from this context on (an event's contextToken); one user alone")
    .option('--if-none-match <etag>', 'nothing where the answer with this etag still stands; one user alone')
    .action(async (predictor: string, userIds: string[], options: Options) => {
      const [first, ...others] = userIds;
      if (first !== undefined && others.length === 0) await predictOne(cli, predictor, first, options);
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
    notModified ? [`not modified: the answer ${etag} still stands`] : renderAnswer(result, cli.paint),
  );
}

async function predictMany(cli: Cli, predictor: string, userIds: readonly string[], options: Options): Promise<void> {
  const { minContext, ifNoneMatch, ...demands } = demandsOf(options);
  if (minContext !== undefined || ifNoneMatch !== undefined) {
    throw usageError('--min-context and --if-none-match are about one user', 'leave them out, or name one user');
  }
  const results = await connect(cli, options).predictMany(predictor, userIds, demands);
  present(
    cli,
    options,
    { results: results.map(({ userId, answer, problem }) => answer ?? { userId, error: problem }) },
    () => renderManyAnswers(results, cli.paint),
  );
  if (results.some(({ answer }) => answer === null)) throw new CommandFailure('', { presented: true });
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
