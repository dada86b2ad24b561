-- howdah.send_signal(name, payload, job_id, keep_for) -> text
-- Sends a signal, in the caller's transaction: jobs that wait for it (howdah.await_signal) get the payload, and are ready
-- when that commits. Whoever begins to wait later finds it, for as long as it is kept.
--   name      what it is about, such as 'order 42 paid': 1 to 128 bytes
--   payload   JSON of at most 256 KiB as text
--   job_id    only this job hears it; NULL: every job that waits for the name
--   keep_for  how long it is kept, 0 to 1000 years; NULL: as the setting signal_retention says (7 days)
-- The first one counts: while a signal of the name (and job) is kept, another changes nothing; see howdah.withdraw_signal.
-- Returns 'sent', or 'already sent'; NULL: there is no such job.
-- Writes: signal; and step, deferred, ticket for each job that waits. Locks: their rows, skipping what others have locked;
-- another transaction that sends the same signal waits for the end of this one.
-- Errors: HD002 invalid argument.
-- Cost: a few writes for each job that waits.
CREATE OR REPLACE FUNCTION howdah.send_signal(name text, payload jsonb DEFAULT 'null', job_id bigint DEFAULT NULL, keep_for interval DEFAULT NULL)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := howdah.now();
BEGIN
  PERFORM howdah.check_step(send_signal.name, send_signal.payload, 'payload');
  IF send_signal.payload IS NULL THEN
    PERFORM howdah.option_refused('payload', 'must be JSON, not NULL: leave it out for a signal that says nothing more');
  END IF;
  IF send_signal.keep_for NOT BETWEEN '0' AND '1000 years' THEN
    PERFORM howdah.option_refused('keep_for', 'must be 0 to 1000 years');
  END IF;
  IF send_signal.job_id IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.find_job(send_signal.job_id)) THEN
    RETURN NULL;
  END IF;
  INSERT INTO howdah.signal AS g (name, job_id, sent_at, expires_at, payload)
    VALUES (send_signal.name, coalesce(send_signal.job_id, 0), v_now,
            v_now + coalesce(send_signal.keep_for, (SELECT c.signal_retention FROM howdah.config c)), send_signal.payload)
  ON CONFLICT (name, job_id) DO UPDATE
    SET sent_at = excluded.sent_at, expires_at = excluded.expires_at, payload = excluded.payload, delivered = false
    WHERE g.expires_at <= excluded.sent_at;
  IF NOT FOUND THEN
    RETURN 'already sent';
  END IF;
  -- A snapshot that is older than the locks does not see who waits now. The keeper does, once this is committed.
  IF current_setting('transaction_isolation') LIKE 'read %' THEN
    PERFORM howdah.deliver(send_signal.name, coalesce(send_signal.job_id, 0), send_signal.payload);
  END IF;
  RETURN 'sent';
END $$;
