//! What the database keeps of each claim and each end, by triggers.
//!
//! Invariant: a row is written by the transaction that does it, so that it is there if and only if that was committed and
//! survived. Its time is before the commit: what can only come after that commit has a later one. Limit: partitions that are
//! truncated tell nothing.

/// Tables and triggers, for a database with a queue.
pub const INSTALL: &str = "
CREATE SCHEMA audit;
CREATE TABLE audit.lease (n bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp(), op text NOT NULL,
  id bigint NOT NULL, worker_id bigint NOT NULL, first_ids bigint[] NOT NULL, counts smallint[] NOT NULL, attempts smallint[] NOT NULL);
CREATE TABLE audit.ended (at timestamptz NOT NULL DEFAULT clock_timestamp(), outcome smallint NOT NULL,
  first_ids bigint[] NOT NULL, counts smallint[] NOT NULL);
CREATE TABLE audit.born (at timestamptz NOT NULL DEFAULT clock_timestamp(), id bigint NOT NULL);
CREATE FUNCTION audit.see_lease() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO audit.lease (op, id, worker_id, first_ids, counts, attempts) VALUES (TG_OP, OLD.id, OLD.worker_id, '{}', '{}', '{}');
  ELSE
    INSERT INTO audit.lease (op, id, worker_id, first_ids, counts, attempts)
      VALUES (TG_OP, NEW.id, NEW.worker_id, NEW.first_ids, NEW.counts, NEW.attempts);
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION audit.see_receipt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit.ended (outcome, first_ids, counts) VALUES (NEW.outcome, NEW.first_ids, NEW.counts);
  RETURN NULL;
END $$;
CREATE FUNCTION audit.see_dead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit.ended (outcome, first_ids, counts) VALUES (4, ARRAY[NEW.job_id], '{1}');
  RETURN NULL;
END $$;
CREATE FUNCTION audit.see_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit.born (id) VALUES (NEW.id);
  RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON howdah.lease FOR EACH ROW EXECUTE FUNCTION audit.see_lease();
CREATE TRIGGER audit AFTER INSERT ON howdah.receipt FOR EACH ROW EXECUTE FUNCTION audit.see_receipt();
CREATE TRIGGER audit AFTER INSERT ON howdah.dead FOR EACH ROW EXECUTE FUNCTION audit.see_dead();
CREATE TRIGGER audit AFTER INSERT ON howdah.job FOR EACH ROW EXECUTE FUNCTION audit.see_job();
";

/// Forgets a phase that was checked.
pub const FORGET: &str = "TRUNCATE audit.lease, audit.ended, audit.born";
