-- 0003 routing: howdah.claim also takes kinds by prefix, and leaves kinds alone.
--
-- Its list of arguments has grown, so the old function goes; the new one comes with the functions of this release, in
-- the same transaction. Calls with five arguments go on to work.
--
-- Locks: none that an application would notice.

DROP FUNCTION IF EXISTS howdah.claim(bigint, text, integer, text[], bigint[]);
