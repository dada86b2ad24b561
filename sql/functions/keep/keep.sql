-- howdah.keep(worker_id, term, sweep, awake, tick_ms) -> (promoted, next_ms, rescued)
-- One tick of the keeper, in one statement: keeps the office, rescues, promotes, expires, delivers signals, opens gates, resumes
-- queues, lets go of jobs whose parents have ended.
--   term       the term that elect_keeper gave
--   sweep      true: look at everything that is due, false: at what became due in the last five seconds, so
--              that dead rows are not walked over again and again
--   awake      true: the keeper looks every few milliseconds, and nobody needs to notify it of due times
--   tick_ms    when it will look again by itself
--   promoted   how many runs of jobs became ready; 1000: there may be more
--   next_ms    milliseconds until the next job is due, expires, or gets the token that it waits for; NULL if there is none
--   rescued    a line for each worker that was given up
-- Writes: keeper, and see rescue, promote, expire, deliver_signals, resume_due and open_gates. Errors: HD011 another keeper was elected:
-- nothing was done.
CREATE OR REPLACE FUNCTION howdah.keep(worker_id bigint, term bigint, sweep boolean, awake boolean, tick_ms integer,
  OUT promoted integer, OUT next_ms bigint, OUT rescued text[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now    timestamptz := howdah.now();
  v_office howdah.keeper;
  v_expire record;
  v_open   bigint;
BEGIN
  SELECT * INTO v_office FROM howdah.keeper k
   WHERE k.term = keep.term AND k.worker_id = keep.worker_id AND k.expires_at >= v_now FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the keeper''s term % is over', keep.term USING ERRCODE = 'HD011';
  END IF;
  -- Written only when it tells something new: a row that changes at every tick rots while a snapshot is held.
  IF NOT keep.awake OR v_office.wakes_at > '-infinity' OR v_office.expires_at < v_now + interval '3 seconds' THEN
    UPDATE howdah.keeper k
       SET expires_at = v_now + make_interval(secs => greatest(5, 3 * keep.tick_ms / 1000.0)),
           wakes_at = CASE WHEN keep.awake THEN '-infinity' ELSE v_now + make_interval(secs => keep.tick_ms / 1000.0) END;
  END IF;
  IF keep.sweep THEN
    SELECT array_agg(format('%s: %s jobs', r.worker, r.jobs)) INTO rescued FROM howdah.rescue() r;
    PERFORM howdah.deliver_signals(), howdah.resume_due();
  END IF;
  SELECT p.promoted, p.next_ms INTO promoted, next_ms
    FROM howdah.promote(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END) p;
  SELECT * INTO v_expire FROM howdah.expire(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END);
  v_open := howdah.open_gates(keep.sweep);
  next_ms := CASE WHEN v_expire.expired >= 1000 THEN 1 ELSE least(next_ms, v_expire.next_ms, v_open) END;
  next_ms := least(next_ms, howdah.look_again(1000, CASE WHEN keep.sweep THEN '-infinity' ELSE v_now - interval '5 seconds' END));
END $$;
