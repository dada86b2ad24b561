-- howdah.split_deferred(run, job_id) -> void
-- Gives one job of a deferred row that the caller has locked a row of its own, and what is before and behind it theirs.
-- Internal. Writes: deferred, unless the job is alone.
CREATE OR REPLACE FUNCTION howdah.split_deferred(run howdah.deferred, job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  d howdah.deferred := split_deferred.run;
BEGIN
  IF d.jobs = 1 THEN
    RETURN;
  END IF;
  DELETE FROM howdah.deferred k WHERE k.first_id = d.first_id;
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
  SELECT d.due_at, p.first_id, d.queue_id, d.priority, p.jobs, d.attempt, d.kind, d.gates, d.gate
    FROM (VALUES (d.first_id, split_deferred.job_id - d.first_id), (split_deferred.job_id, 1),
                 (split_deferred.job_id + 1, d.first_id + d.jobs - 1 - split_deferred.job_id)) p(first_id, jobs)
   WHERE p.jobs > 0;
END $$;
