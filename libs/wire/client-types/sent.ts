/**
 * The names of the schemas that applications send. In the client's types of these, settings with a default are
 * optional.
 */
export const SENT: readonly string[] = [
  ...['ReadMany', 'Event', 'Outcome', 'Outcomes', 'StartRun', 'Rollback', 'RolloutPlan', 'MoveRollout'],
  ...['PromoteRollout', 'ArmOverride', 'Push', 'LabelMove', 'ArchiveChange', 'BuildComparisonRequest'],
  ...['InferenceRequest', 'Rank'],
];
