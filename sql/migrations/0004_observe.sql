-- 0004 observe: what attempts say of themselves while they run.
--
-- Locks: creates new objects only. Safe while an application runs.

-- How far a job is, and where its next attempt can go on. One row for each job that says so, written over and
-- over: pages are left half empty, so that a new version of a row finds its place beside the old one.
CREATE TABLE howdah.progress (
  job_id     bigint PRIMARY KEY,
  attempt    smallint NOT NULL,
  at         timestamptz NOT NULL,
  percent    real CHECK (percent BETWEEN 0 AND 100),
  message    text,
  checkpoint jsonb
) WITH (fillfactor = 50);

-- What was logged inside of an attempt: one row per line, in the slots of the history ring.
CREATE TABLE howdah.log (
  slot    smallint    NOT NULL,
  job_id  bigint      NOT NULL,
  attempt smallint    NOT NULL,
  line    smallint    NOT NULL,
  at      timestamptz NOT NULL,
  level   text        NOT NULL,
  target  text        NOT NULL,
  message text        NOT NULL
) PARTITION BY LIST (slot);
CREATE TABLE howdah.log_0 PARTITION OF howdah.log FOR VALUES IN (0);
CREATE TABLE howdah.log_1 PARTITION OF howdah.log FOR VALUES IN (1);
CREATE TABLE howdah.log_2 PARTITION OF howdah.log FOR VALUES IN (2);
CREATE TABLE howdah.log_3 PARTITION OF howdah.log FOR VALUES IN (3);
-- jobs show: the lines of a job.
CREATE INDEX log_job ON howdah.log (job_id, attempt, at, line);

ANALYZE howdah.progress, howdah.log;
