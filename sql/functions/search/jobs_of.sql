-- howdah.jobs_of(ids) -> rows as in howdah.jobs
-- These jobs, by id; each once, however often it is given, and those that exist. As the view says, and by its indexes alone: the view
-- leaves it to the planner, which is often wrong where there are millions of jobs and dozens are asked for.
--   ids  at most 100,000
-- Reads: the tables behind howdah.jobs. Locks: none. Errors: HD002 invalid argument. Cost: see rooms_of.
CREATE OR REPLACE FUNCTION howdah.jobs_of(ids bigint[])
RETURNS TABLE (id bigint, queue text, kind text, state text, attempt smallint, max_attempts smallint, priority smallint,
  enqueued_at timestamptz, due_at timestamptz, worker_id bigint, claimed_at timestamptz, ended_at timestamptz, run_ms integer,
  reason text, payload jsonb, options jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  IF cardinality(jobs_of.ids) > 100000 THEN
    RAISE EXCEPTION 'ids must be at most 100000, not %', cardinality(jobs_of.ids) USING ERRCODE = 'HD002', COLUMN = 'ids', HINT = 'Call it several times.';
  END IF;
  RETURN QUERY
    SELECT j.id, q.name::text, j.kind, r.state, r.attempt, j.max_attempts, j.priority, j.enqueued_at, r.due_at, r.worker_id, r.claimed_at,
           r.ended_at, r.run_ms, coalesce(r.reason, CASE WHEN r.state = 'scheduled' THEN howdah.waits_because(j.id) END), j.payload, j.options
      FROM howdah.find_jobs(jobs_of.ids) j
      JOIN howdah.rooms_of(jobs_of.ids) r ON r.job_id = j.id
      JOIN howdah.all_queues q ON q.id = j.queue_id
     ORDER BY j.id;
END $$;
