-- howdah.insert_job() -> trigger
-- INSERT INTO howdah.new_job enqueues: each row goes through howdah.enqueue, with its errors. Internal to it.
CREATE OR REPLACE FUNCTION howdah.insert_job() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.id := howdah.enqueue(NEW.kind, NEW.payload, NEW.queue, NEW.priority, NEW.run_at, NEW.delay, NEW.max_attempts, NEW.options);
  RETURN NEW;
END $$;
