/** GET /v1/users/{userId}: shows the stored records of a user. */

import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { type Authority, isErased } from '@tandem/freshness/certificate';
import { notFound, TandemError } from '@tandem/freshness/errors';
import type { ContextValue } from '@tandem/freshness/features';
import type { Predictor } from '@tandem/freshness/predictor';
import { userIdProblem } from '@tandem/freshness/user-id';
import { UserPath } from '@tandem/wire/parameters';
import { type EventValueView, USER_EXAMPLE, UserSchema } from '@tandem/wire/users';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { candidatesView, findCandidates } from './find-candidates.ts';

export function showUser(dependencies: RouteDependencies) {
  const { registry, authority, findUserContext } = dependencies;
  return defineEndpoint({
    operationId: 'showUser',
    method: 'get',
    path: '/v1/users/{userId}',
    tag: 'users',
    summary: 'Show the stored records of a user',
    scope: 'users:read',
    params: UserPath,
    answer: { description: 'Context, versions and predictions', schema: UserSchema, example: USER_EXAMPLE },
    problems: ['unknown_user', 'invalid_input', 'unavailable'],
    async handle({ req }) {
      const userId = req.param('userId') ?? '';
      // The id is checked by the rules that all key types share, because Postgres rejects some texts.
      const unfit = userIdProblem('text', userId, 'userId');
      if (unfit) throw unfit;
      // The registry is read after a certificate, which notifies it of adoptions.
      const all = await authority.certify([]).then(() => registry.predictors());
      const [first] = all;
      const names = first ? all.map(({ name }) => name) : [NO_PREDICTOR];
      const [certificate, context] = await Promise.all([
        authority.certify([userId], ...names),
        findUserContext(userId),
      ]);
      const refused = first && userIdProblem(first.keyType, userId, 'userId');
      if (refused) throw refused;
      const user = certificate.user(userId, names[0] ?? NO_PREDICTOR);
      if (isErased(user)) throw notFound(userId);
      const stored = await Promise.all(all.map((one) => storedFor(dependencies, one, certificate, userId)));
      const isKnown = context.updatedAt !== null || stored.some(({ candidates }) => candidates.length > 0);
      if (!isKnown) throw nothingStored(userId);
      return {
        userId,
        history: certificate.history,
        contextVersion: user.version,
        updatedAt: context.updatedAt?.toISOString() ?? null,
        context: Object.fromEntries(
          Object.entries(context.features).map(([name, value]) => [name, eventValueView(value)]),
        ),
        predictors: stored,
      };
    },
  });
}

/** A placeholder if there is no predictor: the context version of a user is still known. */
const NO_PREDICTOR = '';

async function storedFor(
  dependencies: RouteDependencies,
  predictor: Predictor,
  certificate: Awaited<ReturnType<Authority['certify']>>,
  userId: string,
) {
  const assignment = certificate.assignments(predictor.name)?.of(userId);
  const { touched } = certificate.user(userId, predictor.name);
  const none = { stores: { redis: 'ok', postgres: 'ok' }, candidates: [] } as const;
  const found = assignment ? await findCandidates(dependencies, predictor, assignment, certificate, userId) : none;
  return { predictor: predictor.name, lastConcerningVersion: touched, ...candidatesView(found, certificate.now) };
}

function nothingStored(userId: string): TandemError {
  return new TandemError('unknown_user', `User ${userId} has no records: no event, and no prediction of a run.`, {
    field: 'userId',
    remedy: 'check the id; to look in the feature source too, read a prediction of the user',
  });
}

function eventValueView({ value, accepted, time, source, id }: ContextValue): EventValueView {
  return { value, acceptedAt: new Date(accepted).toISOString(), time: new Date(time).toISOString(), source, id };
}
