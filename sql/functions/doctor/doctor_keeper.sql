-- howdah.doctor_keeper(asked) -> findings, see howdah.doctor_checks
-- Whether somebody does the chores, and whether what is due is made ready: without that nothing scheduled runs, no attempt is
-- tried again, and no job of a dead worker is given to others. Workers that have only just begun have not stood for it yet. Internal to doctor. Reads: keeper, worker, the first row of
-- deferred that is due.
CREATE OR REPLACE FUNCTION howdah.doctor_keeper(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_late   timestamptz := howdah.doctor_ago(doctor_keeper.asked, 'overdue_ms');
  v_office howdah.keeper;
  v_due    timestamptz := (SELECT d.due_at FROM howdah.deferred d WHERE d.due_at > '-infinity' ORDER BY d.due_at, d.first_id LIMIT 1);
  v_live   bigint := (SELECT count(*) FROM howdah.doctor_live() w WHERE w.started_at <= v_late);
BEGIN
  SELECT * INTO v_office FROM howdah.keeper k;
  IF v_office.expires_at <= v_late AND (v_live > 0 OR v_due <= v_late) THEN
    RETURN QUERY SELECT 'problem',
      format('nobody is the keeper%s: what is due does not become ready, and no job is rescued%s',
             CASE WHEN isfinite(v_office.expires_at) THEN ', for ' || howdah.doctor_span(v_office.expires_at) ELSE '' END,
             CASE WHEN v_due <= v_late THEN format('; the first one has been due for %s', howdah.doctor_span(v_due)) ELSE '' END),
      'SELECT * FROM howdah.keeper', CASE v_live WHEN 0 THEN 'start a worker: one of them takes the office'
        ELSE 'start a worker of the library or `howdah work`: the workers that are there (by SQL alone?) do not take the office' END, NULL::text,
      jsonb_build_object('expired_at', nullif(v_office.expires_at, '-infinity'), 'first_due_at', v_due, 'workers', v_live);
  ELSIF v_due <= v_late THEN
    RETURN QUERY SELECT 'warning', format('jobs that have been due for %s are not ready yet, though worker %s is the keeper', howdah.doctor_span(v_due), v_office.worker_id),
      'SELECT * FROM howdah.deferred WHERE due_at <= howdah.now() ORDER BY due_at LIMIT 20',
      'see what the keeper''s session waits for in pg_stat_activity; do its work by hand meanwhile', 'SELECT * FROM howdah.promote()',
      jsonb_build_object('first_due_at', v_due, 'keeper', v_office.worker_id);
  END IF;
END $$;
