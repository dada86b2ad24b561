-- howdah.must_read_committed() -> void
-- Refuses a transaction whose snapshot is older than its locks: there, what another transaction has just done
-- under the lock that was waited for would not be seen, and a job could be lost or run twice. Internal.
-- Errors: HD012.
CREATE OR REPLACE FUNCTION howdah.must_read_committed() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
    RAISE EXCEPTION 'this needs a transaction that is READ COMMITTED, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'HD012', HINT = 'Call it outside of your transaction. Within one, use howdah.complete_in.';
  END IF;
END $$;
