/**
 * Remedies for connections that Postgres rejects until someone changes the address or the server, by SQLSTATE. Imports
 * nothing, so that error messages of the CLI load no driver.
 */
const REMEDIES: ReadonlyMap<string, (variable: string) => string> = new Map([
  ['28P01', (variable) => `correct the password in ${variable}`],
  ['28000', (variable) => `correct the user or the host in ${variable}, or allow them in pg_hba.conf`],
  ['3D000', (variable) => `create the database (createdb), or correct its name in ${variable}`],
]);

/**
 * Returns the remedy for a rejected login or an unknown database; undefined for any other SQLSTATE.
 * @param variable the environment variable with the address
 */
export function loginRemedy(sqlState: string, variable: string): string | undefined {
  return REMEDIES.get(sqlState)?.(variable);
}
