-- howdah.all_jobs: what was asked for, wherever it is kept. Internal to howdah.jobs.
CREATE OR REPLACE VIEW howdah.all_jobs AS
SELECT * FROM howdah.job
UNION ALL
SELECT k.* FROM howdah.job_kept k WHERE NOT EXISTS (
  SELECT FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((k.id >> 33) & 7) AND j.id = k.id);
