-- howdah.every_queue: the rows of all queues, those that were deleted as they were: for what is to become of history.
-- Internal; for names, howdah.all_queues is quicker.
CREATE OR REPLACE VIEW howdah.every_queue AS
SELECT q.* FROM howdah.queue q
UNION ALL
SELECT r.* FROM howdah.deleted_queue d CROSS JOIN LATERAL jsonb_populate_record(NULL::howdah.queue, d.was) r;
