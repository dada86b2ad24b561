-- howdah.take_dead(queues, kind, filter, ids, after, upto, again) -> bigint[]
-- Takes dead jobs with ids from after + 1 to upto out of their room; returns their ids in order, '{}' if there are none.
--   again  they are to run again: those whose unique key another job has stay dead
-- Internal. Writes: dead, unique_key. Locks: those rows, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.take_dead(queues integer[], kind text, filter jsonpath, ids bigint[], after bigint, upto bigint, again boolean DEFAULT false) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[];
BEGIN
  SELECT coalesce(array_agg(x.job_id), '{}') INTO v_ids FROM howdah.dead x
   WHERE x.job_id > take_dead.after AND x.job_id <= take_dead.upto AND x.queue_id = ANY (take_dead.queues)
     AND (take_dead.kind IS NULL OR x.kind = take_dead.kind) AND (take_dead.ids IS NULL OR x.job_id = ANY (take_dead.ids));
  IF take_dead.filter IS NOT NULL THEN
    v_ids := ARRAY(SELECT m FROM howdah.matching(v_ids, array_fill(1, ARRAY[cardinality(v_ids)]), take_dead.filter) m);
  END IF;
  IF take_dead.again THEN
    -- The jobs before their keys, as everywhere: else each of two might wait for the other.
    v_ids := ARRAY(SELECT x.job_id FROM howdah.dead x WHERE x.job_id = ANY (v_ids) ORDER BY x.job_id FOR UPDATE);
    v_ids := howdah.take_keys_again(v_ids);
  END IF;
  -- Once more by the queue: somebody may have moved one while we waited.
  WITH gone AS (DELETE FROM howdah.dead x WHERE x.job_id = ANY (v_ids) AND x.queue_id = ANY (take_dead.queues) RETURNING x.job_id)
  SELECT coalesce(array_agg(g.job_id ORDER BY g.job_id), '{}') INTO v_ids FROM gone g;
  RETURN v_ids;
END $$;
