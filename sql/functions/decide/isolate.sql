-- howdah.isolate(ids) -> integer
-- Gives each of these jobs that waits a row of its own, so that whoever locks it then (howdah.find_for_update) makes
-- no other job wait. Call it in a short transaction of its own, before the one that decides. Passes over rows that are
-- locked, and jobs that do not wait. Returns how many jobs have a row of their own now.
-- Writes: ticket, deferred. Locks: their rows, skipping what others have locked; never waits.
-- Errors: HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.isolate(ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(1, 1, isolate.ids);
  RETURN (SELECT count(s.state) FROM (SELECT DISTINCT i FROM unnest(isolate.ids) i ORDER BY i) u, LATERAL howdah.single_out(u.i, true) s);
END $$;
