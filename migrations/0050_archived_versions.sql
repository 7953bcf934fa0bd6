-- Archived model versions: they are kept with their file and their predictions' history, but lists leave them out and no
-- rollout and no rollback goes to one (libs/offline-store/models/archive-version.ts). Null: not archived.
alter table tandem.model_versions add column archived_at timestamptz;
