-- howdah.note_depths() -> text
-- Once a minute: notes what is in each queue, as far as howdah.depths counts. Above 1000 queues it notes nothing, and no rate of
-- what comes in is known. Returns NULL: there is never more to do. Internal to rotate. Writes: stat_depth. Errors: none.
CREATE OR REPLACE FUNCTION howdah.note_depths() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now    timestamptz := howdah.now();
  v_minute timestamptz := date_bin('1 minute', v_now, '2000-01-01 00:00:00Z');
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.stat_depth s WHERE s.at >= v_minute) AND (SELECT count(*) FROM howdah.queue) <= 1000 THEN
    INSERT INTO howdah.stat_depth (at, queue_id, seen_at, unfinished, more)
    SELECT v_minute, q.id, v_now, d.ready + d.running + d.scheduled + d.blocked, d.more
      FROM howdah.depths() d JOIN howdah.queue q ON q.name = d.queue
      ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
