-- howdah.prune_dead(most) -> (removed, failed)
-- Removes dead jobs that have outlived their retention, at most `most`; but not those by which other jobs are held: as long as
-- somebody waits for a dead job to be made good, it can be.
--   failed  the queues whose jobs could not be removed
-- Internal to prune. Writes: see try_removal. Locks: rows of dead, skipping what others have. Errors: none.
-- Cost: one index probe for each queue, while there are dead jobs.
CREATE OR REPLACE FUNCTION howdah.prune_dead(most integer, OUT removed integer, OUT failed text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_ids     bigint[];
  v_removed integer;
  q         record;
BEGIN
  removed := 0;
  FOR q IN SELECT r.queue_id, v_now - r.retention AS cut FROM howdah.retentions() r
            WHERE r.outcome = 4 AND NOT r.held AND EXISTS (SELECT FROM howdah.dead)
              AND EXISTS (SELECT FROM howdah.dead d WHERE d.queue_id = r.queue_id AND d.died_at < v_now - r.retention AND NOT howdah.holds_others(d.job_id))
              AND NOT EXISTS (SELECT FROM howdah.removal_failure f WHERE f.queue_id = r.queue_id AND f.retry_at > v_now) LOOP
    v_ids := ARRAY(SELECT d.job_id FROM howdah.dead d WHERE d.queue_id = q.queue_id AND d.died_at < q.cut AND NOT howdah.holds_others(d.job_id)
                    ORDER BY d.died_at LIMIT prune_dead.most - removed FOR UPDATE SKIP LOCKED);
    v_removed := howdah.try_removal(q.queue_id, NULL, '{}', v_ids);
    removed := removed + coalesce(v_removed, 0);
    IF v_removed IS NULL THEN
      failed := concat_ws(', ', failed, (SELECT format('queue %s: %s', u.name, f.message) FROM howdah.removal_failure f, howdah.every_queue() u
                                          WHERE f.queue_id = q.queue_id AND u.id = q.queue_id));
    END IF;
    EXIT WHEN removed >= prune_dead.most;
  END LOOP;
END $$;
