-- 0021 quiet: a queue that is paused for a while, a worker that is told to claim no more.
--
-- Locks: takes howdah.queue and howdah.worker for a moment: enqueuers wait for the commit of this migration. Safe while an application runs.

-- When the pause ends by itself; NULL: not before somebody resumes it.
ALTER TABLE howdah.queue ADD COLUMN resume_at timestamptz;
-- resume_due: those whose time has come.
CREATE INDEX queue_resume_at ON howdah.queue (resume_at) WHERE resume_at IS NOT NULL;
-- It has another argument now.
DROP FUNCTION IF EXISTS howdah.pause_queue(text, text, text);

-- What somebody has told a worker; NULL: nothing.
ALTER TABLE howdah.worker ADD COLUMN told text CHECK (told IN ('quiet', 'stop'));
-- It returns one more column.
DROP FUNCTION IF EXISTS howdah.heartbeat(bigint);
