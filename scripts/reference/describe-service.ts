/** Makes the API's OpenAPI document without a store, because endpoints use their dependencies only when they answer. */

import { loadParts } from '@tandem/extension/load-parts';
import { tagsOf } from '../../apps/api/app.ts';
import { createEndpoints } from '../../apps/api/endpoints.ts';
import { EXTENSIONS } from '../../apps/api/extensions.ts';
import { describeApi } from '../../apps/api/openapi/openapi.ts';
import type { RouteDependencies } from '../../apps/api/wiring/route-dependencies.ts';

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly description?: string;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly Parameter[];
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly description?: string;
}

type Content = Readonly<Record<string, { readonly examples?: Readonly<Record<string, unknown>> }>>;

export interface ApiDocument {
  readonly info: { readonly description: string };
  readonly tags: readonly { readonly name: string; readonly description?: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const extensions = await loadParts(EXTENSIONS, 'routes');

export function describeService(): ApiDocument {
  const endpoints = createEndpoints(unused(), { document: () => '', page: () => '' });
  return JSON.parse(JSON.stringify(describeApi(endpoints, tagsOf(extensions)))) as ApiDocument;
}

/**
 * A placeholder for every dependency and its parts, except the extensions. Calling it or reading a property returns the placeholder itself.
 */
function unused(): RouteDependencies {
  const anything: unknown = new Proxy(() => {}, {
    get: (_, key) => {
      if (key === 'extensions') return extensions;
      return typeof key === 'symbol' || key === 'then' ? undefined : anything;
    },
    apply: () => anything,
  });
  return anything as RouteDependencies;
}
