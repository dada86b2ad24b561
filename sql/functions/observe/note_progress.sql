-- howdah.note_progress(lease_ids, job_ids, percents, messages) -> (lease_id, job_id, written)
-- As report_progress without a checkpoint, for many jobs at once and without waiting for anybody: what a worker
-- sends. The arrays run in parallel; NULL in place of a percent or message leaves what was.
-- Returns a row for each job that is still held by its lease: written is false when somebody else had the lease
-- or the progress row just then: try again. One that is missing was lost.
-- Writes: progress. Locks: lease rows, shared, so that no job can end while its progress is written; never waits.
-- Call it in a transaction of its own. Errors: HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.note_progress(lease_ids bigint[], job_ids bigint[], percents real[], messages text[])
RETURNS TABLE (lease_id bigint, job_id bigint, written boolean) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
  n         record;
BEGIN
  PERFORM howdah.must_read_committed();
  -- Losing this in a crash costs nothing that the next report does not bring again.
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM howdah.check_progress(p) FROM unnest(note_progress.percents) p;
  FOR n IN SELECT * FROM unnest(note_progress.lease_ids, note_progress.job_ids, note_progress.percents, note_progress.messages)
                            u(lease_id, id, percent, message) LOOP
    lease_id := n.lease_id;
    job_id := n.id;
    SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (n.lease_id & 3) AND l.id = n.lease_id FOR SHARE SKIP LOCKED;
    written := FOUND;
    IF written THEN
      v_attempt := howdah.attempt_in(v_lease, n.id);
      CONTINUE WHEN v_attempt IS NULL;
      -- Nobody sees a row that an open report_progress has inserted; but it has the lease, and we need not wait for it.
      IF NOT EXISTS (SELECT FROM howdah.progress p WHERE p.job_id = n.id) THEN
        PERFORM FROM howdah.lease l WHERE (l.id & 3) = (n.lease_id & 3) AND l.id = n.lease_id FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
          written := false;
          RETURN NEXT;
          CONTINUE;
        END IF;
      END IF;
      written := howdah.write_progress(n.id, v_attempt, n.percent, n.message);
    ELSE
      CONTINUE WHEN NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (n.lease_id & 3) AND l.id = n.lease_id);
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
