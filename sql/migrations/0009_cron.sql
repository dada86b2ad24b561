-- 0009 cron: schedules, and what they have fired.
--
-- Locks: creates new objects only. Safe while an application runs.

-- A schedule enqueues a job at each of its slots: the points in time that its expression has in its zone. Its settings
-- are changed with howdah.set_schedule. The keeper reads what is due, works out the next slot (PostgreSQL cannot read
-- cron expressions), and calls howdah.fire_schedule.
CREATE TABLE howdah.schedule (
  name         text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 128 AND name !~ '[[:cntrl:]]'),
  expression   text     NOT NULL,
  timezone     text     NOT NULL DEFAULT 'UTC',
  queue        text     NOT NULL DEFAULT 'default',
  kind         text     NOT NULL,
  payload      jsonb    NOT NULL DEFAULT '{}',
  priority     smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
  -- NULL: as the queue says.
  max_attempts smallint CHECK (max_attempts BETWEEN 1 AND 1000),
  options      jsonb,
  -- Not NULL: while a job with this key has not ended, a firing enqueues none.
  unique_key   text     CHECK (octet_length(unique_key) BETWEEN 1 AND 512),
  -- What becomes of slots that are more than grace_ms over: none is fired, the last one, or the last max_missed.
  missed       text     NOT NULL DEFAULT 'skip' CHECK (missed IN ('skip', 'one', 'all')),
  max_missed   integer  NOT NULL DEFAULT 100 CHECK (max_missed BETWEEN 1 AND 1000),
  grace_ms     integer  NOT NULL DEFAULT 60000 CHECK (grace_ms BETWEEN 1000 AND 86400000),
  paused_at    timestamptz,
  paused_by    text,
  pause_reason text,
  -- From here on nothing is a setting.
  created_at   timestamptz NOT NULL,
  -- Goes up with whatever is changed, so that what was worked out before is not done after.
  turn         bigint      NOT NULL DEFAULT 1,
  -- What @every counts from: when the expression or the zone was set.
  every_from   timestamptz NOT NULL,
  -- Slots until here, included, are dealt with.
  after_at     timestamptz NOT NULL,
  -- The first slot after that. NULL: paused, or not worked out yet.
  next_at      timestamptz,
  -- When the keeper is to look at it.
  look_at      timestamptz NOT NULL DEFAULT '-infinity',
  failures     integer     NOT NULL DEFAULT 0,
  error        text,
  error_at     timestamptz,
  -- What a program has declared at last, and the highest number that one gave its declaration.
  declared     jsonb,
  revision     integer     NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
-- due_schedules: what is due, and when the next one is.
CREATE INDEX schedule_look ON howdah.schedule (look_at);

-- The newest thousand or so firings of each schedule. how: due; missed, when it was too late; by hand. hit: the unique
-- key was held, and job_id is the job that has it.
CREATE TABLE howdah.firing (
  schedule text COLLATE "C" NOT NULL,
  due_at   timestamptz NOT NULL,
  fired_at timestamptz NOT NULL,
  how      text        NOT NULL CHECK (how IN ('due', 'missed', 'by hand')),
  job_id   bigint      NOT NULL,
  hit      boolean     NOT NULL
);
-- No slot is ever fired twice.
CREATE UNIQUE INDEX firing_slot ON howdah.firing (schedule, due_at) WHERE how <> 'by hand';
-- schedules, prune_firings: the newest of a schedule.
CREATE INDEX firing_newest ON howdah.firing (schedule, fired_at);

ANALYZE howdah.schedule, howdah.firing;
