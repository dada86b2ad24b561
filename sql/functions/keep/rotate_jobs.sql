-- howdah.rotate_jobs() -> text
-- Turns the ring of howdah.job: four times in the longest retention the id sequence moves on to the next partition,
-- if that is empty, but not within 15 minutes: there are a million turns in the sequence. A partition that was left is
-- truncated one retention after its last job had ended. The few jobs that live longer (scheduled far ahead, dead) are
-- moved to job_kept first; while there are more than 10,000 of them the partition waits, and so it does for jobs that
-- are to be archived, held or called about. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring, block_seq, idle_job_slot, job_kept. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_jobs() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_retention interval := howdah.longest_retention();
  v_block     bigint := (SELECT s.last_value FROM howdah.block_seq s);
  v_current   integer := (v_block >> 26) & 7;
  v_since     timestamptz;
  v_idle      timestamptz;
  v_look      timestamptz;
  v_live      bigint;
  v_slot      integer;
BEGIN
  SELECT r.since INTO v_since FROM howdah.ring r WHERE r.name = 'job' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  FOR v_slot IN SELECT s FROM generate_series(0, 7) s WHERE s NOT IN (v_current, (v_current + 7) & 7)
                   AND pg_relation_size(format('howdah.job_%s', s)::regclass) > 0 LOOP
    SELECT count(*) INTO v_live FROM howdah.live_jobs(v_slot, 10001);
    IF v_live BETWEEN 1 AND 10000 THEN
      INSERT INTO howdah.job_kept SELECT j.* FROM howdah.live_jobs(v_slot, 10001) l, LATERAL howdah.find_job(l) j ON CONFLICT DO NOTHING;
    END IF;
    CONTINUE WHEN v_live > 10000;
    INSERT INTO howdah.idle_job_slot (slot, idle_since) VALUES (v_slot, howdah.now()) ON CONFLICT DO NOTHING;
    SELECT i.idle_since, coalesce(i.look_at, '-infinity') INTO v_idle, v_look FROM howdah.idle_job_slot i WHERE i.slot = v_slot;
    CONTINUE WHEN v_idle + v_retention >= howdah.now() OR v_look > howdah.now();
    IF howdah.awaits_removal(v_slot) THEN
      UPDATE howdah.idle_job_slot i SET look_at = howdah.now() + interval '5 minutes' WHERE i.slot = v_slot;
    ELSIF howdah.truncate_slot(ARRAY['job_' || v_slot], v_slot) THEN
      DELETE FROM howdah.idle_job_slot i WHERE i.slot = v_slot;
      RETURN format('truncated job_%s', v_slot);
    END IF;
  END LOOP;
  IF v_since + greatest(v_retention / 4, interval '15 minutes') < howdah.now() AND pg_relation_size(format('howdah.job_%s', v_current)::regclass) > 0
     AND pg_relation_size(format('howdah.job_%s', (v_current + 1) & 7)::regclass) = 0 THEN
    PERFORM setval('howdah.block_seq', ((v_block >> 26) + 1) << 26);
    UPDATE howdah.ring r SET slot = (v_current + 1) & 7, since = howdah.now() WHERE r.name = 'job';
    RETURN format('turned job to job_%s', (v_current + 1) & 7);
  END IF;
  RETURN NULL;
END $$;
