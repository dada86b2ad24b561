-- howdah.enqueue_blocked(job_ids, queue_id, kind, priority, gates, options) -> void
-- Puts new jobs into the room of what is blocked, until the jobs that their options name have ended. Internal to enqueue_many.
-- Writes: deferred, dependency, second_look. Locks: none that others need.
-- Errors: HD002 (invalid argument) with COLUMN depends_on: a job is unknown; or these are more than a million dependencies.
CREATE OR REPLACE FUNCTION howdah.enqueue_blocked(job_ids bigint[], queue_id integer, kind text, priority integer, gates text[], options jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[] := ARRAY(SELECT DISTINCT p::bigint FROM jsonb_array_elements_text(enqueue_blocked.options -> 'depends_on') p);
BEGIN
  IF cardinality(v_parents)::bigint * cardinality(enqueue_blocked.job_ids) > 1000000 THEN
    PERFORM howdah.option_refused('depends_on', format('names %s jobs for each of %s, and one call takes a million dependencies',
      cardinality(v_parents), cardinality(enqueue_blocked.job_ids)));
  END IF;
  -- A row for each: they may go on one by one.
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
  SELECT 'infinity', u.id, enqueue_blocked.queue_id, enqueue_blocked.priority, 1, 0, enqueue_blocked.kind, enqueue_blocked.gates, 'dependencies'
    FROM unnest(enqueue_blocked.job_ids) u(id);
  PERFORM howdah.wait_for_parents(enqueue_blocked.job_ids, v_parents, coalesce(enqueue_blocked.options ->> 'on_parent_failure', 'cancel'));
END $$;
