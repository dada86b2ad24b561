-- howdah.continue_operations() -> text
-- Does a step of an operation whose process has not done one for a minute: it has ended, or nobody looks. From then on the keeper goes on
-- with it to its end; whoever comes back may do steps beside it, since they are done one after another.
-- One that was stopped by an error waits for a person. Returns what it did; NULL: there is none. Internal to rotate.
-- Writes: operation, and see act_on. Locks: the operation's row, if nobody has it; what act_on locks.
CREATE OR REPLACE FUNCTION howdah.continue_operations() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  o howdah.operation;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN NULL;
  END IF;
  SELECT * INTO o FROM howdah.operation p
   WHERE p.state = 'running' AND (p.adopted OR p.stepped_at < howdah.now() - interval '1 minute')
   ORDER BY p.id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE howdah.operation p SET adopted = true WHERE p.id = o.id AND NOT p.adopted;
  o := howdah.step_operation(o.id);
  RETURN CASE WHEN o.state = 'stopped' THEN format('could not go on with operation %s: %s', o.id, o.error)
    ELSE format('went on with operation %s: %s of %s jobs changed', o.id, o.changed, o.matched) END;
END $$;
