-- howdah.write_logs(job_ids, attempts, lines) -> integer
-- Keeps what was logged inside of attempts, many of them at once. The arrays run in parallel.
--   lines  for each attempt a JSON array of {"level": .., "target": .., "message": .., "age_us": ..}, oldest first:
--          age_us is how many microseconds ago it was logged (0), so that the server's clock is the only one;
--          at most 10000 lines; a message is cut at 8192 characters, a target at 256
-- Returns how many lines were written. Not fenced: an attempt that lost its lease has logged all the same.
-- Writes: log. Locks: none. Errors: HD002 invalid argument.
-- Its commit does not wait for the disk, and so neither does that of a transaction around it.
CREATE OR REPLACE FUNCTION howdah.write_logs(job_ids bigint[], attempts smallint[], lines jsonb[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_lines integer;
BEGIN
  IF cardinality(write_logs.job_ids) IS DISTINCT FROM cardinality(write_logs.lines)
     OR cardinality(write_logs.job_ids) IS DISTINCT FROM cardinality(write_logs.attempts) THEN
    RAISE EXCEPTION 'job_ids, attempts and lines must be of one length' USING ERRCODE = 'HD002', COLUMN = 'lines';
  END IF;
  IF EXISTS (SELECT FROM unnest(write_logs.lines) l
              WHERE CASE WHEN jsonb_typeof(l) = 'array' THEN jsonb_array_length(l) > 10000 ELSE true END) THEN
    RAISE EXCEPTION 'lines must be a JSON array of at most 10000 objects for each attempt' USING ERRCODE = 'HD002', COLUMN = 'lines';
  END IF;
  -- Losing a log in a crash of the server loses no job.
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO howdah.log (slot, job_id, attempt, line, at, level, target, message)
  SELECT r.slot, u.job_id, u.attempt, l.n, v_now - make_interval(secs => coalesce((l.line ->> 'age_us')::float8, 0) / 1000000),
         left(coalesce(l.line ->> 'level', 'INFO'), 16), left(coalesce(l.line ->> 'target', ''), 256), left(coalesce(l.line ->> 'message', ''), 8192)
    FROM howdah.ring r, unnest(write_logs.job_ids, write_logs.attempts, write_logs.lines) u(job_id, attempt, lines),
         jsonb_array_elements(u.lines) WITH ORDINALITY l(line, n)
   WHERE r.name = 'history';
  GET DIAGNOSTICS v_lines = ROW_COUNT;
  RETURN v_lines;
END $$;
