-- howdah.prune_stats(most) -> text
-- Removes statistics that are old: minutes and depths of more than a day (three hours, where there are more than a million rows),
-- hours and days of more than config.stats_retention; at most `most` rows of each. Returns what it did; NULL: nothing.
-- Internal to rotate. Writes: stat_minute, stat_hour, stat_day, stat_depth. Locks: those rows. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_stats(most integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_minutes timestamptz;
  v_old     bigint;
  v_depths  bigint;
  v_hours   bigint;
  v_days    bigint;
  v_kept    interval := (SELECT c.stats_retention FROM howdah.config c);
BEGIN
  v_minutes := v_now - CASE WHEN (SELECT c.reltuples FROM pg_class c WHERE c.oid = 'howdah.stat_minute'::regclass) > 1e6
    THEN interval '3 hours' ELSE interval '1 day' END;
  DELETE FROM howdah.stat_minute s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_minute o WHERE o.at < v_minutes ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_old = ROW_COUNT;
  DELETE FROM howdah.stat_depth s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_depth o WHERE o.at < v_minutes ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_depths = ROW_COUNT;
  DELETE FROM howdah.stat_hour s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_hour o WHERE o.at < v_now - v_kept ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_hours = ROW_COUNT;
  -- A day goes when its last hour does.
  DELETE FROM howdah.stat_day s WHERE s.ctid = ANY (ARRAY(
    SELECT o.ctid FROM howdah.stat_day o WHERE o.at < v_now - v_kept - interval '1 day' ORDER BY o.at LIMIT prune_stats.most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS v_days = ROW_COUNT;
  -- A minute's worth goes every minute: that is not worth another look at once.
  RETURN CASE WHEN prune_stats.most = ANY (ARRAY[v_old, v_depths, v_hours, v_days])
    THEN format('pruned %s minutes, %s depths and %s hours of statistics', v_old, v_depths, v_hours) END;
END $$;
