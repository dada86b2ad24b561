-- howdah.elect_keeper(worker_id, term_ms) -> bigint
-- Takes the keeper's office if it is vacant, or keeps it. Returns the term, or NULL if another worker has it.
-- A new holder begins a new term. A lease row, not a session lock: it also holds behind a pooler.
-- Writes: keeper. Locks: its one row. Errors: HD004 the worker is not registered.
CREATE OR REPLACE FUNCTION howdah.elect_keeper(worker_id bigint, term_ms integer DEFAULT 5000) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_term bigint;
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
  RETURN v_term;
END $$;
