-- howdah.truncate_slot(tables, job_slot) -> boolean
-- Truncates partitions in which nothing lives, without making anyone wait: gives up at once when a lock is
-- held, and looks again under its own lock before it truncates. Truncating needs no vacuum and no horizon, so
-- a long transaction elsewhere cannot keep the dead rows. Only a pg_dump can, while it runs: see being_dumped.
--   tables    names of partitions in this schema
--   job_slot  NULL: the tables must be empty, but for those of history; else the partition of howdah.job, in which no
--             job may be live
-- Returns whether it was done. Locks: access exclusive on the tables, taken only if free. Internal to rotate.
CREATE OR REPLACE FUNCTION howdah.truncate_slot(tables text[], job_slot integer DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text;
  v_live  boolean;
BEGIN
  PERFORM howdah.must_read_committed();
  FOREACH v_table IN ARRAY truncate_slot.tables LOOP
    EXECUTE format('LOCK TABLE howdah.%I IN ACCESS EXCLUSIVE MODE NOWAIT', v_table);
  END LOOP;
  IF truncate_slot.job_slot IS NOT NULL AND EXISTS (SELECT FROM howdah.live_jobs(truncate_slot.job_slot, 1)) THEN
    RETURN false;
  END IF;
  FOREACH v_table IN ARRAY truncate_slot.tables LOOP
    IF truncate_slot.job_slot IS NULL AND regexp_replace(v_table, '_[0-9]$', '') <> ALL (howdah.history_tables()) THEN
      EXECUTE format('SELECT EXISTS (SELECT FROM howdah.%I)', v_table) INTO v_live;
      IF v_live THEN
        RETURN false;
      END IF;
    END IF;
  END LOOP;
  IF howdah.being_dumped() THEN
    RETURN false;
  END IF;
  FOREACH v_table IN ARRAY truncate_slot.tables LOOP
    EXECUTE format('TRUNCATE howdah.%I', v_table);
    -- Else the planner takes an empty table that it knows nothing of for ten pages.
    EXECUTE format('ANALYZE howdah.%I', v_table);
  END LOOP;
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END $$;
