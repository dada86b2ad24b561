-- howdah.doctor_clock(asked) -> findings, see howdah.doctor_checks
-- Whether the server's clock has gone back (something was written later than now), and whether the asking program's clock differs
-- from it by more than clock_ms. The queue goes by the server's clock alone; a program that says when a job is due goes by its own.
-- Internal to doctor. Reads: worker, ring, schedule, code.
CREATE OR REPLACE FUNCTION howdah.doctor_clock(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_ms     numeric := howdah.doctor_limit(doctor_clock.asked, 'clock_ms');
  v_now    timestamptz := howdah.now();
  v_ahead  numeric := (doctor_clock.asked -> 'client' ->> 'at_ms')::numeric - extract(epoch FROM v_now) * 1000;
  v_future record;
BEGIN
  SELECT t.what, t.at INTO v_future FROM (
    SELECT format('the heartbeat of worker %s', w.name) AS what, w.heartbeat_at AS at FROM howdah.worker w
    UNION ALL SELECT format('the last turn of ring %s', r.name), r.since FROM howdah.ring r
    UNION ALL SELECT format('the last slot of schedule %s', s.name), s.after_at FROM howdah.schedule s
    UNION ALL SELECT 'the installation of the functions', c.applied_at FROM howdah.code c) t
   WHERE isfinite(t.at) ORDER BY t.at DESC LIMIT 1;
  IF v_future.at > v_now + make_interval(secs => (v_ms / 1000)::double precision) THEN
    RETURN QUERY SELECT 'problem', format('the server''s clock has gone back: %s is of %s, which is %s s ahead', v_future.what, howdah.at_text(v_future.at),
        round(extract(epoch FROM v_future.at - v_now)::numeric, 1)),
      'SELECT howdah.now(), (SELECT max(heartbeat_at) FROM howdah.worker), (SELECT max(since) FROM howdah.ring)',
      'have the server''s clock set by a time service that moves it slowly; until it is there again leases last longer and schedules do not fire', NULL::text,
      jsonb_build_object('what', v_future.what, 'at', v_future.at, 'now', v_now);
  END IF;
  IF abs(v_ahead) > v_ms THEN
    RETURN QUERY SELECT 'warning', format('the clock of this program is %s s %s that of the server', round(abs(v_ahead) / 1000, 1), CASE WHEN v_ahead > 0 THEN 'ahead of' ELSE 'behind' END),
      'SELECT howdah.now()', 'have both clocks set by a time service; until then give delays rather than times', NULL::text, jsonb_build_object('ahead_ms', round(v_ahead), 'now', v_now);
  END IF;
END $$;
