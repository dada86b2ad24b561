-- 0012 why: what a worker takes, for who asks why a job is not running.
--
-- Locks: takes howdah.worker for a moment. Safe while an application runs.

-- The filter of a worker that claims only what matches it.
ALTER TABLE howdah.worker ADD COLUMN filter text;

DROP FUNCTION IF EXISTS howdah.start_worker(text, integer, integer, text[], text[], text);
