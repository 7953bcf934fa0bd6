/** Lists the paths of the API, which requests in the docs are compared with. */
import { describeService } from '../../scripts/reference/describe-service.ts';

interface DescribedPath {
  readonly method: string;
  readonly pattern: RegExp;
}

export function describedPaths(): DescribedPath[] {
  return Object.entries(describeService().paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({
      method: method.toUpperCase(),
      pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+').replaceAll('.', '\\.')}$`),
    })),
  );
}
