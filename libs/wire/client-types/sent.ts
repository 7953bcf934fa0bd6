/** The names of the schemas that applications send: the client's types let them leave out what has a default. */
export const SENT: readonly string[] = [
  ...['ReadMany', 'Event', 'Outcome', 'Outcomes', 'StartRun', 'Rollback', 'RolloutPlan', 'MoveRollout'],
  ...['PromoteRollout', 'ArmOverride', 'Push', 'LabelMove', 'ArchiveChange', 'BuildComparisonRequest'],
  ...['InferenceRequest', 'Rank'],
];
