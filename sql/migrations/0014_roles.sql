-- 0014 roles: which roles this schema was given by howdah.create_roles; none until somebody calls it.
--
-- Locks: creates new objects only. Safe while an application runs.

-- prefix: the roles are prefix_owner, prefix_producer, ...
CREATE TABLE howdah.access (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  prefix text NOT NULL
);
