-- howdah.check_removal() -> trigger
-- Refuses a before_removal that names no function, however the queue's row is written.
-- Errors: HD002.
CREATE OR REPLACE FUNCTION howdah.check_removal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM howdah.removal_function(NEW.before_removal);
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER check_removal BEFORE INSERT OR UPDATE OF before_removal ON howdah.queue
  FOR EACH ROW WHEN (NEW.before_removal IS NOT NULL) EXECUTE FUNCTION howdah.check_removal();
