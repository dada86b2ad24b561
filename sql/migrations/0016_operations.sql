-- 0016 operations: what people do to many jobs at once, as rows that anybody can go on with, and who did what; errors in
-- groups of the same cause.
--
-- Locks: takes howdah.config for a moment, and howdah.failure for as long as its new index takes (some 3 s for 100,000
-- failures), during which failures wait. Safe while an application runs.

-- An action on all jobs that a search means. It is done in steps, each a transaction that takes some jobs and moves `before`:
-- whoever crashes has done a step or not.
CREATE TABLE howdah.operation (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action     text        NOT NULL,
  settings   jsonb       NOT NULL,
  -- As somebody typed it, and as howdah.search takes it.
  search     text        NOT NULL,
  compiled   jsonb       NOT NULL,
  made_at    timestamptz NOT NULL,
  made_by    text        NOT NULL,
  reason     text,
  -- running; stopped: a step failed, and the next one begins where it did; done; cancelled.
  state      text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'stopped', 'done', 'cancelled')),
  -- Every job from this id on has been dealt with.
  before     bigint      NOT NULL,
  looked     bigint      NOT NULL DEFAULT 0,
  matched    bigint      NOT NULL DEFAULT 0,
  changed    bigint      NOT NULL DEFAULT 0,
  steps      bigint      NOT NULL DEFAULT 0,
  stepped_at timestamptz NOT NULL,
  ended_at   timestamptz,
  ended_by   text,
  error      text,
  -- The keeper goes on with it, since nobody else did.
  adopted    boolean     NOT NULL DEFAULT false
) WITH (fillfactor = 50);
-- prune_audit: the oldest that have ended. people: those that go on.
CREATE INDEX operation_ended ON howdah.operation (ended_at);

-- Actions on jobs that were named by their ids.
CREATE TABLE howdah.command (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action   text        NOT NULL,
  settings jsonb       NOT NULL,
  job_ids  bigint[]    NOT NULL,
  changed  bigint      NOT NULL,
  made_at  timestamptz NOT NULL,
  made_by  text        NOT NULL,
  reason   text
);
-- prune_audit: the oldest.
CREATE INDEX command_made_at ON howdah.command (made_at);

ALTER TABLE howdah.config
  ADD COLUMN audit_retention interval NOT NULL DEFAULT '90 days' CHECK (audit_retention BETWEEN '0' AND '1000 years');

-- Which errors are the same. These are functions of the release like all others; they are here because the index needs them.
CREATE OR REPLACE FUNCTION howdah.error_shape(message text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN regexp_replace(regexp_replace(left(split_part(error_shape.message, E'\n', 1), 300),
    '"[^"]*"|`[^`]*`|(?<![[:alnum:]])''[^'']*''(?![[:alnum:]])', '"*"', 'g'),
    '[[:alnum:]_]*[0-9][[:alnum:]_]*([-.:/][[:alnum:]_]+)*', '#', 'g');
END $$;
CREATE OR REPLACE FUNCTION howdah.fingerprint(error_kind text, message text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ('x' || substr(md5(fingerprint.error_kind || E'\n' || howdah.error_shape(fingerprint.message)), 1, 16))::bit(64)::bigint;
END $$;
-- error_groups: from one group to the next, and the newest of each.
CREATE INDEX failure_fingerprint ON howdah.failure (howdah.fingerprint(error_kind, message), at);

-- The planner takes an empty table that it knows nothing of for ten pages.
ANALYZE howdah.operation, howdah.command;
