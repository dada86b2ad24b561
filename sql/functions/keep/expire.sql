-- howdah.expire(most, since) -> (expired, next_ms)
-- Ends jobs that wait and have not started in time, at most `most` of them. What runs is let run; what fails after
-- it has expired is ended by the next claim. Jobs that somebody has locked are looked at again the next time.
--   since    as in howdah.promote: nothing that expired before is looked at
--   expired  how many were looked at: if it is `most`, call again
--   next_ms  milliseconds until the next one expires; NULL if there is none
-- Writes: expiry, ticket or deferred, receipt or dead. Locks: those rows, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.expire(most integer DEFAULT 1000, since timestamptz DEFAULT '-infinity', OUT expired integer, OUT next_ms bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_id      bigint;
  v_attempt smallint;
BEGIN
  expired := 0;
  FOR v_id IN SELECT e.job_id FROM howdah.expiry e WHERE e.expires_at >= expire.since AND e.expires_at <= v_now
               ORDER BY e.expires_at, e.job_id LIMIT 10 * expire.most FOR UPDATE SKIP LOCKED LOOP
    EXIT WHEN expired >= expire.most;
    -- Not counted: whoever has a thousand jobs locked would else keep the keeper looking at them, and at no others.
    CONTINUE WHEN howdah.is_locked(v_id);
    expired := expired + 1;
    DELETE FROM howdah.expiry e WHERE e.job_id = v_id;
    SELECT t.attempt INTO v_attempt FROM howdah.take_waiting(v_id) t;
    IF FOUND THEN
      PERFORM howdah.expire_jobs(ARRAY[v_id], ARRAY[v_attempt]);
    END IF;
  END LOOP;
  SELECT greatest(1, ceil(extract(epoch FROM e.expires_at - v_now) * 1000)) INTO next_ms
    FROM howdah.expiry e WHERE e.expires_at > v_now ORDER BY e.expires_at LIMIT 1;
END $$;
