-- howdah.health: what howdah.doctor finds, with its usual limits. Each SELECT looks anew.
CREATE OR REPLACE VIEW howdah.health AS
SELECT d.name, d.state, d.found, d.proof, d.fix, d.detail FROM howdah.doctor() d;
