-- howdah.elect_keeper(worker_id, term_ms) -> bigint
-- Takes the keeper's office if it is vacant, or keeps it. Returns the term, or NULL if another worker has it.
-- A new holder begins a new term. A lease row, not a session lock: it also holds behind a pooler.
-- Who lives asks with each heartbeat whether the office is vacant. So if its term has been over for five seconds, nobody could ask:
-- the server was away, or its clock has gone ahead. Then silence says nothing of a worker, and counts from now on.
-- Writes: keeper, and worker after such a time. Locks: the one row of keeper; workers, skipping those that heartbeat just now.
-- Errors: HD004 the worker is not registered.
CREATE OR REPLACE FUNCTION howdah.elect_keeper(worker_id bigint, term_ms integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_term  bigint;
  v_ended timestamptz := (SELECT k.expires_at FROM howdah.keeper k);
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = elect_keeper.worker_id) THEN
    PERFORM howdah.unknown_worker(elect_keeper.worker_id);
  END IF;
  UPDATE howdah.keeper k
     SET term = k.term + (k.worker_id IS DISTINCT FROM elect_keeper.worker_id OR k.expires_at < howdah.now())::integer,
         worker_id = elect_keeper.worker_id,
         expires_at = howdah.now() + make_interval(secs => elect_keeper.term_ms / 1000.0)
   WHERE k.worker_id = elect_keeper.worker_id OR howdah.keeper_vacant()
  RETURNING k.term INTO v_term;
  IF v_term IS NOT NULL AND isfinite(v_ended) AND v_ended < howdah.now() - interval '5 seconds' THEN
    UPDATE howdah.worker w SET heartbeat_at = howdah.now()
     WHERE w.id IN (SELECT s.id FROM howdah.worker s WHERE s.heartbeat_at < howdah.now() FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN v_term;
END $$;
