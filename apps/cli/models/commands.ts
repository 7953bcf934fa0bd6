/** `tandem model`: the model versions of predictors. */
import { type Cli, type CommandText, createApiCommand, group, parseWhole, present } from '@tandem/commands/command';
import { connect } from '../client/connect.ts';
import { modelPushCommand } from './push.ts';
import { renderModel, renderModels } from './render-model.ts';

export function modelCommands(cli: Cli) {
  return group('model', 'model versions: push, list, show, label, archive', [
    modelPushCommand(cli),
    modelListCommand(cli),
    modelShowCommand(cli),
    modelLabelCommand(cli),
    modelArchiveCommand(cli),
    modelUnarchiveCommand(cli),
  ]);
}

function modelListCommand(cli: Cli) {
  return createApiCommand({
    name: 'list',
    description: 'list the model versions of a predictor, newest first',
    example: 'tandem model list repurchase',
  })
    .argument('[predictor]', 'the predictor (default: all predictors)')
    .option('--archived', 'also list archived versions')
    .action(async (predictor, options) => {
      const models = await connect(cli, options).models(predictor, { archived: options.archived ?? false });
      present(cli, options, { models }, () => renderModels(models, cli.paint, cli.now()));
    });
}

function modelShowCommand(cli: Cli) {
  return createApiCommand({
    name: 'show',
    description: 'show a model version: its origin, query and trial, and the arms that serve it',
    example: 'tandem model show repurchase 2',
  })
    .argument('<predictor>')
    .argument('<version>', 'its number', parseWhole(1))
    .action(async (predictor, version, options) => {
      const model = await connect(cli, options).modelVersion(predictor, String(version));
      present(cli, options, model, () => renderModel(model, cli.now()));
    });
}

function modelLabelCommand(cli: Cli) {
  return createApiCommand({
    name: 'label',
    description:
      'move a label to a model version with a certificate of a trial; this does not change which version serves',
    example: 'tandem model label repurchase challenger 2',
  })
    .argument('<predictor>')
    .argument('<label>')
    .argument('<version>', 'its number', parseWhole(1))
    .action(async (predictor, label, version, options) => {
      const moved = await connect(cli, options).moveLabel(predictor, label, String(version));
      present(cli, options, moved, ({ from, to }) => [
        `${predictor}: ${label} is model version ${to}${from === null || from === to ? '' : `, ${from} no longer`}`,
      ]);
    });
}

function modelArchiveCommand(cli: Cli) {
  return archiving(cli, true, {
    name: 'archive',
    description: 'archive a model version: hide it in lists and exclude it from rollouts and rollbacks',
    detail: `No data is deleted: tandem model list --archived shows the version. A served version cannot be archived. To restore it,
run tandem model unarchive, or push or adopt it again.`,
    example: 'tandem model archive repurchase 2',
  });
}

function modelUnarchiveCommand(cli: Cli) {
  return archiving(cli, false, {
    name: 'unarchive',
    description: 'restore a model version from the archive',
    example: 'tandem model unarchive repurchase 2',
  });
}

function archiving(cli: Cli, archived: boolean, text: CommandText) {
  return createApiCommand(text)
    .argument('<predictor>')
    .argument('<version>', 'its number', parseWhole(1))
    .action(async (predictor, version, options) => {
      const model = await connect(cli, options).archiveVersion(predictor, String(version), archived);
      present(cli, options, model, ({ archivedAt }) => [
        `${predictor}: model version ${version} is ${archivedAt === null ? 'not archived' : 'archived'}`,
      ]);
    });
}
