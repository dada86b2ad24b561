-- howdah.why(job_id) -> setof (code, reason, evidence)
-- Why a job is not running: a chain of plain reasons, the nearest first. Of a job that runs or has ended: what it does
-- or how that was. No row: there is no such job, or it ended longer ago than history is kept.
--   code      for programs: ended, dead, running, cancelling, due, parked, held, dependency, sleep, signal, limit, held_by, rate, order, paused, no_worker, kind,
--             filter, queue_limit, queue_rate, turn, behind, busy, soon, keeper, ...
--   reason    for people: one sentence
--   evidence  what it was seen by: ids, times, numbers
-- Reads: what there is. Looks at no more than some thousand rows, however much waits. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.why(job_id bigint) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  j record;
  d howdah.deferred;
BEGIN
  SELECT v.*, w.name AS worker, w.heartbeat_at INTO j FROM howdah.jobs v LEFT JOIN howdah.worker w ON w.id = v.worker_id WHERE v.id = why.job_id;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  CASE j.state
    WHEN 'running' THEN
      RETURN QUERY SELECT 'running', format('it runs: attempt %s, on worker %s, since %s', j.attempt, coalesce(j.worker, j.worker_id::text), howdah.at_text(j.claimed_at)),
        jsonb_build_object('worker', j.worker, 'worker_id', j.worker_id, 'claimed_at', j.claimed_at, 'heartbeat_at', j.heartbeat_at);
      RETURN QUERY SELECT 'cancelling', 'it was asked to stop at ' || howdah.at_text(c.requested_at), jsonb_build_object('requested_at', c.requested_at)
        FROM howdah.cancel_request c WHERE c.job_id = why.job_id;
    WHEN 'ready' THEN
      RETURN QUERY SELECT * FROM howdah.why_ready(why.job_id);
    WHEN 'scheduled', 'blocked' THEN
      SELECT k.* INTO d FROM howdah.deferred k WHERE k.first_id BETWEEN (why.job_id >> 7 << 7) AND why.job_id AND why.job_id < k.first_id + k.jobs;
      RETURN QUERY SELECT * FROM howdah.why_deferred(why.job_id, d);
      RETURN QUERY SELECT 'failed', format('attempt %s failed at %s: %s', f.attempt, howdah.at_text(f.at), left(f.message, 500)),
          jsonb_build_object('attempt', f.attempt, 'at', f.at, 'error_kind', f.error_kind, 'message', left(f.message, 500))
        FROM howdah.failure f WHERE f.job_id = why.job_id ORDER BY f.attempt DESC, f.at DESC LIMIT 1;
    WHEN 'dead' THEN
      RETURN QUERY SELECT 'dead', format('it is dead since %s: %s', howdah.at_text(j.ended_at), j.reason),
        jsonb_build_object('ended_at', j.ended_at, 'attempt', j.attempt, 'reason', j.reason);
    ELSE
      RETURN QUERY SELECT 'ended', format('it has ended as %s at %s', j.state, howdah.at_text(j.ended_at)), jsonb_build_object('state', j.state, 'ended_at', j.ended_at);
  END CASE;
END $$;
