-- howdah.signals: the signals that are kept. job_id NULL: sent to every job that waits for the name.
CREATE OR REPLACE VIEW howdah.signals AS
SELECT g.name::text AS name, nullif(g.job_id, 0) AS job_id, g.sent_at, g.expires_at, g.payload
  FROM howdah.signal g WHERE g.expires_at > howdah.now();
