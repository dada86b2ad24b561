-- howdah.remove_jobs(queue_id, slot, tids, dead_ids) -> integer
-- Removes jobs of one queue that have ended: those of receipts in a slot, and dead ones. The caller has locked the
-- receipts and the dead rows. Before, in the same transaction, the queue's before_removal is called with them, some
-- 16 MB of payload at a time, and they are written to howdah.archive, as the queue's settings say.
-- The function gets a JSON array of objects with the columns of howdah.archive, and may raise to keep the jobs. It runs
-- with the rights of whoever removes: the keeper's role, or the caller of purge or remove_held; so whoever may write
-- howdah.queue decides what these run. Its search_path is pg_catalog, pg_temp, whoever calls, so that it means the same
-- for all of them: it names its schemas, or has a SET search_path of its own. It should be quick: the keeper gives a
-- batch of a thousand jobs 30 seconds.
-- Returns how many jobs that were. Internal.
-- Writes: receipt, dead, archive, and see erase_jobs. Errors: what before_removal raises.
CREATE OR REPLACE FUNCTION howdah.remove_jobs(queue_id integer, slot integer, tids tid[], dead_ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue howdah.queue;
  v_call  text;
  v_jobs  jsonb;
  v_ids   bigint[];
BEGIN
  SELECT * INTO v_queue FROM howdah.queue q WHERE q.id = remove_jobs.queue_id;
  IF v_queue.before_removal IS NOT NULL THEN
    v_call := format('SELECT %s($1)', howdah.removal_function(v_queue.before_removal));
    FOR v_jobs IN
      SELECT jsonb_agg(to_jsonb(c) - 'part' - 'archived_at' ORDER BY c.id)
        FROM (SELECT l.*, sum(pg_column_size(l.payload)) OVER (ORDER BY l.id) / 16777216 AS part
                FROM howdah.leaving_jobs(remove_jobs.slot, remove_jobs.tids, remove_jobs.dead_ids) l) c
       GROUP BY c.part ORDER BY c.part
    LOOP
      EXECUTE v_call USING v_jobs;
    END LOOP;
  END IF;
  IF v_queue.on_removal = 'archive' THEN
    INSERT INTO howdah.archive SELECT * FROM howdah.leaving_jobs(remove_jobs.slot, remove_jobs.tids, remove_jobs.dead_ids);
  END IF;
  SELECT array_agg(u.first_id + g) || remove_jobs.dead_ids INTO v_ids
    FROM howdah.receipt r, unnest(r.first_ids, r.counts) u(first_id, jobs), generate_series(0, u.jobs - 1) g
   WHERE r.slot = remove_jobs.slot AND r.ctid = ANY (remove_jobs.tids);
  DELETE FROM howdah.receipt r WHERE r.slot = remove_jobs.slot AND r.ctid = ANY (remove_jobs.tids);
  DELETE FROM howdah.dead d WHERE d.job_id = ANY (remove_jobs.dead_ids);
  PERFORM howdah.erase_jobs(v_ids);
  RETURN coalesce(cardinality(v_ids), 0);
END $$;
