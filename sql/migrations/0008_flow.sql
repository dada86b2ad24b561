-- 0008 flow: limits, orders, rates and fair shares; the room of what is blocked.
--
-- What a job must pass when it is claimed are its gates: a limit (limit:KEY), an order (order:KEY), its share of the
-- queue (fair:KEY). They stand on its ticket, so that jobs without any cost nothing. A job that does not get through
-- waits apart, as a row of howdah.deferred that is due at infinity and names the gate; whoever frees the gate makes it
-- ready again.
--
-- Locks: takes howdah.ticket and howdah.deferred for a moment: enqueuers wait for the commit of this migration.

ALTER TABLE howdah.ticket
  ADD COLUMN gates text[],
  -- When it came back among the ready ones; NULL: it has been there since it was enqueued.
  ADD COLUMN ready_at timestamptz;
-- Ageing: for each aging_ms that a job is ready it counts as one priority higher. NULL: it does not.
ALTER TABLE howdah.queue ADD COLUMN aging_ms bigint CHECK (aging_ms BETWEEN 1 AND 31557600000);
ALTER TABLE howdah.deferred
  ADD COLUMN gates text[],
  -- What the run is blocked by; NULL: nothing, it is only not due.
  ADD COLUMN gate  text COLLATE "C";
-- release: the first of those that a gate blocks. claim: the lanes of a fair queue.
CREATE INDEX deferred_gate ON howdah.deferred (gate, priority, first_id) WHERE gate IS NOT NULL;

-- The rules of limits and rates, and the weights of shares. scope: queue, kind, key (of limit_key; a name that ends with *
-- is a rule for each key that begins so), share (of fair_key).
CREATE TABLE howdah.flow_rule (
  scope          text    NOT NULL CHECK (scope IN ('queue', 'kind', 'key', 'share')),
  name           text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 256),
  -- So many may run at the same time; NULL: any number.
  max_running    integer CHECK (max_running BETWEEN 0 AND 100000),
  -- So many tokens come in every rate_period_ms, and so many may be saved up; a start takes one, or the job's weight.
  rate           integer CHECK (rate BETWEEN 1 AND 1000000000),
  rate_period_ms bigint  CHECK (rate_period_ms BETWEEN 1 AND 31557600000),
  rate_burst     integer CHECK (rate_burst BETWEEN 1 AND 1000000000),
  -- How many jobs of the share are started in its turn.
  weight         integer CHECK (weight BETWEEN 1 AND 1000),
  PRIMARY KEY (scope, name),
  CONSTRAINT rate_is_whole CHECK ((rate IS NULL) = (rate_period_ms IS NULL) AND (rate IS NULL) = (rate_burst IS NULL)),
  CONSTRAINT weight_is_of_shares CHECK ((weight IS NOT NULL) = (scope = 'share')),
  CONSTRAINT share_has_a_weight_only CHECK (scope <> 'share' OR (max_running IS NULL AND rate IS NULL))
);

-- Who has passed a gate that counts: a row for each gate of each running job. It belongs to the lease: where that is
-- gone, the row counts for nothing, whatever has gone wrong.
CREATE TABLE howdah.slot (
  lease_id bigint NOT NULL,
  job_id   bigint NOT NULL,
  gate     text COLLATE "C" NOT NULL,
  PRIMARY KEY (lease_id, job_id, gate)
);
-- admit: how many have passed.
CREATE INDEX slot_gate ON howdah.slot (gate, lease_id);

-- Jobs with an ordering key that have not ended, in their order. passed_by: it failed, and lets the others go first until
-- it is due again.
CREATE TABLE howdah.ordered (
  key       text COLLATE "C" NOT NULL,
  job_id    bigint NOT NULL,
  passed_by boolean NOT NULL DEFAULT false,
  PRIMARY KEY (key, job_id)
);
-- ended: the orders of a run.
CREATE INDEX ordered_job ON howdah.ordered (job_id);

-- How far each rate is used up: at `full_at` all its tokens would be there again. Written by whoever has the gate's lock.
CREATE TABLE howdah.gate (
  name    text COLLATE "C" PRIMARY KEY,
  full_at timestamptz NOT NULL
) WITH (fillfactor = 20);

-- When the keeper is to look whom it can let through a gate. Rows are added and deleted, never updated, and no two
-- exclude each other: so nobody who adds one waits for a transaction that has added another.
CREATE TABLE howdah.gate_look (
  gate    text COLLATE "C" NOT NULL,
  look_at timestamptz NOT NULL
);
-- open_gates: which, and when the next one is. watch_gate: whether one is there.
CREATE INDEX gate_look_at ON howdah.gate_look (look_at);
CREATE INDEX gate_look_gate ON howdah.gate_look (gate, look_at);

-- Where the keeper's round over all gates that block somebody goes on.
CREATE TABLE howdah.gate_round (
  one  boolean PRIMARY KEY DEFAULT true CHECK (one),
  gate text COLLATE "C" NOT NULL
) WITH (fillfactor = 20);
INSERT INTO howdah.gate_round (gate) VALUES ('');

-- Whose turn it is in a queue of shares: where the last claim stopped, as the hash of a fair_key. Sequences, because a row
-- that is written at each claim would rot while a snapshot is held. Which one a claim uses: see claim_in_turn.
CREATE SEQUENCE howdah.turn_0 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_1 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_2 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_3 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_4 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_5 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_6 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_7 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_8 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_9 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_10 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_11 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_12 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_13 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_14 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_15 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_16 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_17 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_18 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_19 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_20 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_21 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_22 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_23 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_24 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_25 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_26 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_27 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_28 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_29 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_30 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_31 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_32 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_33 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_34 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_35 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_36 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_37 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_38 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_39 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_40 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_41 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_42 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_43 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_44 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_45 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_46 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_47 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_48 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_49 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_50 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_51 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_52 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_53 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_54 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_55 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_56 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_57 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_58 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_59 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_60 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_61 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_62 AS bigint MINVALUE 0;
CREATE SEQUENCE howdah.turn_63 AS bigint MINVALUE 0;

-- rule_of: the rules for all keys that begin so.
CREATE INDEX flow_rule_prefix ON howdah.flow_rule (scope, name) WHERE right(name, 1) = '*';

ANALYZE howdah.flow_rule, howdah.slot, howdah.ordered, howdah.gate, howdah.gate_look;

-- These have other arguments or other columns now.
DROP FUNCTION IF EXISTS howdah.single_out(bigint, boolean);
DROP FUNCTION IF EXISTS howdah.take_range(integer[], text, text[], jsonpath, bigint[], bigint, bigint);
DROP FUNCTION IF EXISTS howdah.lease_jobs(bigint, integer, bigint[], smallint[], bigint[]);
DROP FUNCTION IF EXISTS howdah.defer(timestamptz, bigint, integer, integer, text, integer, integer);
