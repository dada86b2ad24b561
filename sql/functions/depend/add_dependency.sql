-- howdah.add_dependency(job_id, parent_id) -> text
-- Makes a job that waits (ready, scheduled, blocked) wait for another one too, in the caller's transaction.
-- What becomes of it if that one fails is as its option on_parent_failure says, see howdah.check_options.
-- Returns the state that it is in then: blocked; or, if the parent has ended, what follows from that.
-- Writes: ticket or deferred, job, dependency. Locks: the job's row, and waits for whoever has it; an advisory lock until
-- the transaction ends, so that two of these do not make a circle together.
-- Errors: HD002 invalid argument: an unknown job, or a circle, which is named; HD007 the job does not wait; HD012 the
-- transaction is not READ COMMITTED.
-- Cost: looks at all that the parent waits for, as far as that is 100,000 jobs.
CREATE OR REPLACE FUNCTION howdah.add_dependency(job_id bigint, parent_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w record;
  j howdah.job;
BEGIN
  PERFORM howdah.must_read_committed();
  PERFORM pg_advisory_xact_lock('howdah.dependency'::regclass::oid::bigint << 32);
  PERFORM howdah.refuse_circle(add_dependency.job_id, ARRAY[add_dependency.parent_id]);
  w := howdah.single_out(add_dependency.job_id);
  IF w.state IS NULL THEN
    IF howdah.state(add_dependency.job_id) IS NULL THEN
      PERFORM howdah.option_refused('job_id', format('%s: there is no such job', add_dependency.job_id));
    END IF;
    PERFORM howdah.not_waiting(add_dependency.job_id, howdah.state(add_dependency.job_id), 'made to wait');
  END IF;
  SELECT * INTO j FROM howdah.find_job(add_dependency.job_id);
  j.options := coalesce(j.options, '{}') || jsonb_build_object('depends_on', coalesce(j.options -> 'depends_on', '[]') || to_jsonb(add_dependency.parent_id));
  -- One that was set aside until a signal comes, or a time, is due when that has come, and not when its row says.
  IF w.state = 'scheduled' AND NOT EXISTS (SELECT FROM howdah.step s WHERE s.job_id = j.id AND s.state = 'waiting' AND s.wakes_at = w.due_at) THEN
    j.options := j.options || jsonb_build_object('due_at', w.due_at);
  END IF;
  PERFORM howdah.rewrite_job(j);
  IF w.gate IS DISTINCT FROM 'dependencies' THEN
    PERFORM howdah.drop_waiting(add_dependency.job_id, w.state, w.queue_id, w.priority);
    PERFORM howdah.defer('infinity', add_dependency.job_id, 1, w.queue_id, w.kind, w.priority, w.attempt, w.gates, 'dependencies');
  END IF;
  IF j.options ? 'order_key' THEN
    -- Others of its order might be what it waits for: see join_orders.
    PERFORM howdah.let_pass(j.id);
  END IF;
  PERFORM howdah.wait_for_parents(ARRAY[add_dependency.job_id], ARRAY[add_dependency.parent_id], coalesce(j.options ->> 'on_parent_failure', 'cancel'));
  RETURN howdah.state(add_dependency.job_id);
END $$;
