-- 0020 stats: how many attempts ended and how, as the workers report it, by minute, by hour and since ever; and how full the queues were.
--
-- Locks: creates new objects, and takes howdah.config for a moment. Safe while an application runs.

-- What was reported within a minute, kept for a day: of few columns, since there are many of them.
CREATE TABLE howdah.stat_minute (
  at        timestamptz NOT NULL,
  queue_id  integer     NOT NULL,
  kind      text        NOT NULL,
  completed bigint      NOT NULL,
  -- Attempts that failed, and are tried again.
  retried   bigint      NOT NULL,
  -- Put off by their handlers, or waiting for a signal; not counted as attempts.
  snoozed   bigint      NOT NULL,
  dead      bigint      NOT NULL,
  cancelled bigint      NOT NULL,
  -- Given back unended, by a worker that stopped.
  released  bigint      NOT NULL,
  -- Whose lease was lost, or that were given up after their time was over.
  lost      bigint      NOT NULL,
  -- Of all of them together: how long they ran, and how long jobs had waited for their first attempt.
  run_ms    bigint      NOT NULL,
  wait_ms   bigint      NOT NULL,
  PRIMARY KEY (at, queue_id, kind)
) WITH (fillfactor = 70);

-- What was reported within an hour, kept for config.stats_retention.
--   runs   how many ran how long: the first number is of those under 1 ms, and number n + 1 of those from 2^(n-1) to 2^n ms; the
--          last, the 24th, of all that took longer
--   waits  the same of how long jobs that began their first attempt had waited since they were enqueued
CREATE TABLE howdah.stat_hour (
  LIKE howdah.stat_minute,
  runs  bigint[] NOT NULL,
  waits bigint[] NOT NULL,
  PRIMARY KEY (at, queue_id, kind)
) WITH (fillfactor = 70);

-- What workers report. Rows are added and taken away by fold_stats, and never changed: a ring of two partitions, which is truncated, so
-- that many workers leave nothing behind while a snapshot is held.
CREATE TABLE howdah.stat_report (
  slot smallint NOT NULL,
  LIKE howdah.stat_hour
) PARTITION BY LIST (slot);
CREATE TABLE howdah.stat_report_0 PARTITION OF howdah.stat_report FOR VALUES IN (0);
CREATE TABLE howdah.stat_report_1 PARTITION OF howdah.stat_report FOR VALUES IN (1);
INSERT INTO howdah.ring (name, slot) VALUES ('stat_report', 0);

-- What was reported within a day of UTC: the sum of its hours, and kept as long. Days are few where hours are many.
CREATE TABLE howdah.stat_day (
  LIKE howdah.stat_hour,
  PRIMARY KEY (at, queue_id, kind)
) WITH (fillfactor = 70);

-- What was reported since ever, which never becomes less.
CREATE TABLE howdah.stat_total (
  LIKE howdah.stat_hour,
  PRIMARY KEY (queue_id, kind)
) WITH (fillfactor = 50);

-- What was in a queue at some time of a minute, kept for a day.
CREATE TABLE howdah.stat_depth (
  at         timestamptz NOT NULL,
  queue_id   integer     NOT NULL,
  -- When exactly.
  seen_at    timestamptz NOT NULL,
  -- Jobs that are ready, running, scheduled or blocked; at least so many, if there are more than were counted.
  unfinished bigint      NOT NULL,
  more       boolean     NOT NULL,
  PRIMARY KEY (at, queue_id)
);

ALTER TABLE howdah.config
  ADD COLUMN stats_retention interval NOT NULL DEFAULT '90 days' CHECK (stats_retention BETWEEN '0' AND '1000 years');

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.stat_report_0, howdah.stat_report_1, howdah.stat_minute, howdah.stat_hour, howdah.stat_day, howdah.stat_total, howdah.stat_depth;
