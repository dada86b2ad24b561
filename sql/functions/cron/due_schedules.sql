-- howdah.due_schedules(worker_id, term, most) -> jsonb
-- What the keeper has to look at: {now, next_ms, due: [...]}, times in microseconds since 1970.
--   now      the queue's clock, by which the keeper plans
--   next_ms  milliseconds until the next schedule is due; null if there is none
--   due      at most `most` schedules that are due, or whose next slot is not known; those that somebody is changing
--            are left for the next look
-- Writes: nothing. Locks: those rows, for a moment, skipping what others have locked.
-- Errors: HD011 another keeper was elected. Cost: two index probes if nothing is due.
CREATE OR REPLACE FUNCTION howdah.due_schedules(worker_id bigint, term bigint, most integer DEFAULT 100) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := howdah.now();
  v_due jsonb;
BEGIN
  PERFORM howdah.must_be_keeper(due_schedules.worker_id, due_schedules.term);
  WITH due AS MATERIALIZED (
    SELECT * FROM howdah.schedule s WHERE s.look_at <= v_now ORDER BY s.look_at LIMIT due_schedules.most FOR NO KEY UPDATE SKIP LOCKED)
  SELECT jsonb_agg(jsonb_build_object('name', d.name, 'turn', d.turn, 'expression', d.expression, 'timezone', d.timezone,
           'every_from', howdah.micros(d.every_from), 'after_at', howdah.micros(d.after_at), 'missed', d.missed,
           'max_missed', d.max_missed, 'grace_ms', d.grace_ms)) INTO v_due FROM due d;
  RETURN jsonb_build_object('now', howdah.micros(v_now), 'due', coalesce(v_due, '[]'), 'next_ms', (
    SELECT greatest(1, ceil(extract(epoch FROM s.look_at - v_now) * 1000))::bigint
      FROM howdah.schedule s WHERE s.look_at > v_now AND s.look_at < 'infinity' ORDER BY s.look_at LIMIT 1));
END $$;
