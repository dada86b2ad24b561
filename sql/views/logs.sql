-- howdah.logs: what was logged inside of attempts, as far as it is still kept. In order: by job_id, attempt, at, line.
CREATE OR REPLACE VIEW howdah.logs AS
SELECT l.job_id, l.attempt, l.at, l.line, l.level, l.target, l.message FROM howdah.log l;
