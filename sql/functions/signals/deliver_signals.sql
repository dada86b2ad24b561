-- howdah.deliver_signals(most) -> integer
-- The keeper's part in signals: gives those to waiting jobs that met them in mid-air. A transaction that sends one may be
-- open for long and see none of those who begin to wait meanwhile, nor they it. So each signal is looked at again after
-- its commit, until all that waited then have it. Who begins to wait after that finds it by itself.
-- Returns how many signals were looked at, at most `most`. Internal to keep.
-- Writes: signal, and see deliver. Locks: rows of signal, skipping what others have. Errors: none.
-- Cost: one probe of an empty index while there is nothing new.
CREATE OR REPLACE FUNCTION howdah.deliver_signals(most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_looked integer := 0;
  g        record;
BEGIN
  FOR g IN SELECT i.name, i.job_id, i.payload FROM howdah.signal i WHERE NOT i.delivered AND i.expires_at > howdah.now()
            ORDER BY i.sent_at LIMIT deliver_signals.most FOR UPDATE SKIP LOCKED LOOP
    v_looked := v_looked + 1;
    IF howdah.deliver(g.name, g.job_id, g.payload, true) = 0 THEN
      UPDATE howdah.signal i SET delivered = true WHERE i.name = g.name AND i.job_id = g.job_id;
    END IF;
  END LOOP;
  RETURN v_looked;
END $$;
