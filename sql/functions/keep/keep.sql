-- howdah.keep(worker_id, term, due_since, awake, tick_ms) -> (kept_term, promoted, next_ms, rescued)
-- One tick of the keeper, in one statement: keeps the office, rescues, promotes.
--   term       the term that elect_keeper gave
--   due_since  see promote
--   awake      true: the keeper looks every few milliseconds, and nobody needs to notify it of due times
--   tick_ms    when it will look again by itself
--   next_ms    milliseconds until the next job is due; NULL if there is none
--   rescued    a line for each worker that was given up
-- Writes: keeper, and see rescue and promote. Errors: HD011 another keeper was elected: nothing was done.
CREATE OR REPLACE FUNCTION howdah.keep(worker_id bigint, term bigint, due_since timestamptz, awake boolean, tick_ms integer,
  OUT promoted integer, OUT next_ms bigint, OUT rescued text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.keeper k
     SET expires_at = howdah.now() + make_interval(secs => greatest(5, 4 * keep.tick_ms / 1000.0)),
         wakes_at = CASE WHEN keep.awake THEN '-infinity' ELSE howdah.now() + make_interval(secs => keep.tick_ms / 1000.0) END
   WHERE k.term = keep.term AND k.worker_id = keep.worker_id AND k.expires_at >= howdah.now();
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the keeper''s term % is over', keep.term USING ERRCODE = 'HD011';
  END IF;
  SELECT array_agg(format('%s: %s jobs', r.worker, r.jobs)) INTO rescued FROM howdah.rescue() r;
  SELECT p.promoted, p.next_ms INTO promoted, next_ms FROM howdah.promote(1000, keep.due_since) p;
END $$;
