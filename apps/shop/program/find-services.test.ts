import { expect, test } from 'vitest';
import { findServices } from './find-services.ts';

const services = { DATABASE_URL: 'postgres://h/d', TANDEM_URL: 'http://127.0.0.1:8080' };
const found = { databaseUrl: services.DATABASE_URL, apiUrl: services.TANDEM_URL };

test('the environment defines the services, and the key if the API requires one', () => {
  expect(findServices(services, '/')).toEqual(found);
  expect(findServices({ ...services, TANDEM_API_KEY: 'tandem_live_1' }, '/')).toEqual({
    ...found,
    apiKey: 'tandem_live_1',
  });
});

test('if nothing runs, the error names both remedies', () => {
  expect(() => findServices({}, '/')).toThrow(/npm start.*DATABASE_URL and TANDEM_URL/);
});
