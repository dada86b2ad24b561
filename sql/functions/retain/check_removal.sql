-- howdah.check_removal() -> trigger
-- Refuses a before_removal that names no function, however the queue's row is written. Where there are roles (see
-- howdah.create_roles) the function runs as the owner: only who may become that may name it. Internal to howdah.queue.
-- Errors: HD002; 42501.
CREATE OR REPLACE FUNCTION howdah.check_removal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Not current_user: that is the owner here, whoever has called howdah.set_queue.
  IF EXISTS (SELECT FROM howdah.access a WHERE NOT pg_has_role(session_user, a.prefix || '_owner', 'MEMBER')) THEN
    RAISE EXCEPTION 'before_removal is for the owner to set: % is not of that role', session_user USING ERRCODE = '42501', COLUMN = 'before_removal';
  END IF;
  PERFORM howdah.removal_function(NEW.before_removal);
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER check_removal BEFORE INSERT OR UPDATE OF before_removal ON howdah.queue
  FOR EACH ROW WHEN (NEW.before_removal IS NOT NULL) EXECUTE FUNCTION howdah.check_removal();
