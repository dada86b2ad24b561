-- howdah.all_queues: the names of queues, of those that were deleted too: for history. Internal to howdah.jobs.
CREATE OR REPLACE VIEW howdah.all_queues AS
SELECT q.id, q.name FROM howdah.queue q
UNION ALL
SELECT d.id, d.name FROM howdah.deleted_queue d;
