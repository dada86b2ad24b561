-- howdah.new_job: INSERT INTO howdah.new_job (kind, payload) VALUES ('welcome', '{"user": 1}') RETURNING id
-- enqueues, for those who would rather write rows than call howdah.enqueue. It always reads as empty.
CREATE OR REPLACE VIEW howdah.new_job AS
SELECT NULL::bigint AS id, NULL::text AS kind, NULL::jsonb AS payload, NULL::text AS queue, NULL::integer AS priority,
       NULL::timestamptz AS run_at, NULL::interval AS delay, NULL::integer AS max_attempts, NULL::jsonb AS options
 WHERE false;
ALTER VIEW howdah.new_job ALTER COLUMN payload SET DEFAULT '{}';
ALTER VIEW howdah.new_job ALTER COLUMN queue SET DEFAULT 'default';
ALTER VIEW howdah.new_job ALTER COLUMN priority SET DEFAULT 5;
CREATE OR REPLACE TRIGGER enqueue INSTEAD OF INSERT ON howdah.new_job FOR EACH ROW EXECUTE FUNCTION howdah.insert_job();
