-- howdah.audit: who did what: operations by search, commands to jobs by ids, and what was done to queues, schedules and workflows
-- (no ids; settings say to which). In order: by made_at.
CREATE OR REPLACE VIEW howdah.audit AS
SELECT o.made_at, o.made_by, o.action, o.settings, o.reason, o.search, NULL::bigint[] AS job_ids, o.matched, o.changed, o.state, o.id AS operation_id
  FROM howdah.operation o
UNION ALL
SELECT c.made_at, c.made_by, c.action, c.settings, c.reason, NULL, c.job_ids, cardinality(c.job_ids), c.changed, 'done', NULL
  FROM howdah.command c;
