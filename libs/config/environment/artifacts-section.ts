/** Where API and worker find model files that are not in Postgres. */
import type { Section } from './environment.ts';

export interface BucketSection {
  readonly bucket: string;
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
  /** Where the service listens that speaks S3. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * `ARTIFACT_URL` (`s3://bucket/prefix`; none: files are in Postgres), `ARTIFACT_REGION` (us-east-1), `ARTIFACT_ENDPOINT`
 * (Amazon's of that region), `ARTIFACT_ACCESS_KEY_ID`, `ARTIFACT_SECRET_ACCESS_KEY`; all but the region also with `_FILE`.
 */
export const artifacts: Section<BucketSection | null> = (read) => {
  const said = read.url('ARTIFACT_URL', ['s3:'], 's3://bucket/prefix', '');
  if (!URL.canParse(said)) return null;
  const { hostname: bucket, pathname } = new URL(said);
  const region = read.host('ARTIFACT_REGION', 'us-east-1');
  const needed = (name: string) => {
    const value = read.secret(name, 1, 'give the whole key');
    if (value === null) read.refuse(name, 'is not set, and ARTIFACT_URL is', 'set it, or name it with _FILE');
    return value ?? '';
  };
  return {
    ...{ bucket, region },
    prefix: pathname.replace(/^\/+|\/+$/g, ''),
    endpoint: read.url('ARTIFACT_ENDPOINT', ['https:', 'http:'], 'https://…', `https://s3.${region}.amazonaws.com`),
    accessKeyId: needed('ARTIFACT_ACCESS_KEY_ID'),
    secretAccessKey: needed('ARTIFACT_SECRET_ACCESS_KEY'),
  };
};
