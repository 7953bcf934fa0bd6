/** `tandem init`: writes a config from a model and a table. */
import { type Cli, createCommand, present } from '@tandem/commands/command';
import { findDatabaseUrls, modelMemoryMb, withDatabases } from '@tandem/commands/environment';
import { CommandFailure } from '@tandem/commands/failure';
import type { InitResult } from './init-config.ts';

/** The time limit in ms for counting nulls, which reads the whole table. */
const STATEMENT_TIMEOUT_MS = 60_000;

export function initCommand(cli: Cli) {
  return createCommand({
    name: 'init',
    description: 'write a config for an ONNX model and a table or view with one row for each user',
    detail: `Reads the inputs and outputs of the model and the columns of the table, matches them by name or number, and writes a
first config. The output and the comments in the config list what was left out, assumed or not matched.
Reads DATABASE_URL, or the database of the \`tandem up\` in this folder, and changes nothing there.
Exit codes: 0 if written; 1 if not written, or written with decisions left to you; 2 for wrong usage.`,
    example: 'tandem init --model ./churn.onnx --table customer_features --key customer_id',
  })
    .requiredOption('--model <path>', 'the ONNX file')
    .requiredOption('--table <name>', 'the table or view with the features: name or schema.name')
    .requiredOption('--key <column>', 'the column that identifies the user')
    .option('--predictor <name>', 'the name of the predictor (default: that of the model file)')
    .option('--config <path>', 'the file to write', 'tandem.config.ts')
    .option('--force', 'overwrite an existing file')
    .action(async (options) => {
      const { initConfig } = await import('./init-config.ts');
      const { renderInit } = await import('./render-init.ts');
      const choice = { applicationName: 'tandem-init', statementTimeoutMs: STATEMENT_TIMEOUT_MS };
      await withDatabases(findDatabaseUrls(cli), choice, async (databases) => {
        const { cwd } = cli;
        const memoryLimitMb = modelMemoryMb(cli);
        const result = await initConfig(databases, {
          cwd,
          memoryLimitMb,
          predictor: undefined,
          force: false,
          ...options,
        });
        present(cli, options, summaryOf(result), () => renderInit(cli, result));
        if (result.inputs.undecided.length > 0) throw new CommandFailure('', { presented: true });
      });
    });
}

/** Returns the output of `--json`, which has names instead of all facts. */
function summaryOf({ file, predictor, table, inputs, outputs }: InitResult) {
  return {
    file,
    predictor,
    table: table.sql,
    rows: table.rows,
    key: { column: table.key.column.name, type: table.key.column.type, unique: table.key.unique },
    features: inputs.features.map(({ input, name, column, sql, note }) => ({
      input,
      name,
      column: column.name,
      sql,
      note,
    })),
    asOf: inputs.asOf?.name ?? null,
    outputs,
    leftOut: inputs.leftOut.map(({ column, why }) => ({ column: column.name, why })),
    remarks: inputs.remarks,
    undecided: inputs.undecided,
  };
}
