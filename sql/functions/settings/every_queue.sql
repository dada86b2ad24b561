-- howdah.every_queue() -> setof queue
-- The rows of all queues, those that were deleted as they were: for what is to become of history. For names, the view
-- howdah.all_queues is quicker. A function, as a view with this in it would keep columns from being added to
-- howdah.queue. Reads: queue, deleted_queue. Errors: none. Internal.
CREATE OR REPLACE FUNCTION howdah.every_queue() RETURNS SETOF howdah.queue
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT q.* FROM howdah.queue q
    UNION ALL SELECT r.* FROM howdah.deleted_queue d, LATERAL jsonb_populate_record(NULL::howdah.queue, d.was) r;
END $$;
