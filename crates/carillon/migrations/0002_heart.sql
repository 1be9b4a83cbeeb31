-- Pauses, circuits, budgets; dead letters, segments, preflight, alerts; an audit trail.

-- What holds many lanes back at once. scope: all, queue:<pool>, network:<id>; the same behind
-- <workspace id>/ for one workspace.
CREATE TABLE pause (
  scope TEXT PRIMARY KEY,
  paused_at BIGINT NOT NULL,
  why TEXT NOT NULL,
  actor TEXT NOT NULL
);

-- One row a circuit that had failures: a network, or one server of a network that has many.
CREATE TABLE circuit (
  name TEXT PRIMARY KEY,
  -- times of the failures that still count, as a JSON array
  failures TEXT NOT NULL,
  opened_at BIGINT,
  -- set while the breaker is not closed; once past, one probe goes
  open_until BIGINT,
  -- until when a probe is under way
  probe_until BIGINT,
  reason TEXT
);
CREATE INDEX circuit_open ON circuit (open_until) WHERE open_until IS NOT NULL;

-- What was spent of an account's posting budgets, as a JSON array of [tat, day, used], one a budget:
-- GCRA's theoretical arrival time for budgets of less than a day, a count by UTC day for others.
CREATE TABLE budget (
  name TEXT PRIMARY KEY,
  spent TEXT NOT NULL
);

ALTER TABLE gate ADD COLUMN workspace_id TEXT;
ALTER TABLE gate ADD COLUMN network TEXT;
ALTER TABLE gate ADD COLUMN circuit TEXT;
-- the pause that covers this lane, if one does
ALTER TABLE gate ADD COLUMN shut_by TEXT;
-- not before this time: its circuit is open
ALTER TABLE gate ADD COLUMN circuit_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX gate_by_circuit ON gate (circuit) WHERE circuit IS NOT NULL;
UPDATE gate SET
  workspace_id = (SELECT workspace_id FROM connection WHERE 'connection:' || connection.id = gate.lane),
  network = (SELECT network FROM connection WHERE 'connection:' || connection.id = gate.lane),
  circuit = (SELECT network FROM connection WHERE 'connection:' || connection.id = gate.lane);
INSERT INTO gate (lane, pool, width, next_at, open_at, paused_at, paused_why, workspace_id, network, circuit)
  SELECT lane || '/upload', 'upload', 1, NULL, 0, paused_at, paused_why, workspace_id, network, circuit
  FROM gate WHERE network IS NOT NULL;

-- When a lane next wants a worker: null while it is paused or full.
CREATE VIEW lane_due AS SELECT gate.lane AS lane, CASE
  WHEN gate.paused_at IS NOT NULL OR gate.shut_by IS NOT NULL THEN NULL
  WHEN (SELECT count(*) FROM job WHERE job.lane = gate.lane AND job.state = 'leased') >= gate.width THEN NULL
  ELSE coalesce((SELECT CASE
      WHEN min(job.run_at) >= gate.open_at AND min(job.run_at) >= gate.circuit_until THEN min(job.run_at)
      WHEN gate.open_at >= gate.circuit_until THEN gate.open_at
      ELSE gate.circuit_until END
    FROM job WHERE job.lane = gate.lane AND job.state = 'ready' HAVING count(*) > 0), 9000000000000)
  END AS due FROM gate;
UPDATE gate SET next_at = (SELECT due FROM lane_due WHERE lane_due.lane = gate.lane);

-- The pause that covers a lane, if one does.
CREATE VIEW lane_pause AS SELECT gate.lane AS lane, (SELECT min(pause.scope) FROM pause WHERE
    (gate.network IS NOT NULL AND pause.scope IN ('all', gate.workspace_id || '/all'))
    OR pause.scope IN ('queue:' || gate.pool, gate.workspace_id || '/queue:' || gate.pool,
      'network:' || gate.network, gate.workspace_id || '/network:' || gate.network)) AS shut_by
  FROM gate;

-- Policies that differ from the installation's settings, as JSON.
ALTER TABLE workspace ADD COLUMN policies TEXT;

-- Set where a post sent twice is better than one not sent: doubt on a blind network is sent again.
ALTER TABLE connection ADD COLUMN twice_at BIGINT;
-- The network said that no post is left until then; looking is still allowed.
ALTER TABLE connection ADD COLUMN quota_until BIGINT;

-- A segment of a thread or a first comment: sent once the delivery before it is live.
ALTER TABLE delivery ADD COLUMN parent_id TEXT REFERENCES delivery (id);
-- when the visible call may first have begun since the last certainty that it is not there
ALTER TABLE delivery ADD COLUMN first_intent_at BIGINT;
UPDATE delivery SET first_intent_at = coalesce(scheduled_at, intent_at) WHERE intent_at IS NOT NULL;
-- the class of its problem, for filters
ALTER TABLE delivery ADD COLUMN cause TEXT;
-- text and media as a hash: the same content is known again
ALTER TABLE delivery ADD COLUMN content_hash TEXT;
-- when it was last held against the network before its time, and what was found, as JSON
ALTER TABLE delivery ADD COLUMN checked_at BIGINT;
ALTER TABLE delivery ADD COLUMN warning TEXT;
CREATE INDEX delivery_by_parent ON delivery (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX delivery_by_content ON delivery (connection_id, content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX delivery_by_time ON delivery (connection_id, scheduled_at);
-- What is to go out, by its time: looked at before it, and watched after it.
CREATE INDEX delivery_underway ON delivery (scheduled_at) WHERE state IN ('queued', 'sending', 'waiting', 'unknown');
CREATE INDEX delivery_dead ON delivery (workspace_id, updated_at) WHERE state IN ('failed', 'held', 'missed');
UPDATE delivery SET cause = 'unknown' WHERE problem LIKE '{"class":"unknown"%';
UPDATE delivery SET cause = 'transient' WHERE problem LIKE '{"class":"transient"%';
UPDATE delivery SET cause = 'content' WHERE problem LIKE '{"class":"content"%';
UPDATE delivery SET cause = 'late' WHERE problem LIKE '{"class":"late"%';
UPDATE delivery SET cause = 'other' WHERE problem IS NOT NULL AND cause IS NULL;

-- Who did what, kept for good.
CREATE TABLE audit (
  id TEXT PRIMARY KEY,
  -- null: the operator of the installation
  workspace_id TEXT,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX audit_by_workspace ON audit (workspace_id, at);

-- What each sweep did, where it did something.
CREATE TABLE sweep (
  id TEXT PRIMARY KEY,
  at BIGINT NOT NULL,
  -- cron, start, person
  cause TEXT NOT NULL,
  freed BIGINT NOT NULL,
  unknown BIGINT NOT NULL,
  repaired BIGINT NOT NULL,
  ms BIGINT NOT NULL
);
CREATE INDEX sweep_by_time ON sweep (at);

-- What somebody should know now: raised once, cleared when it is over.
CREATE TABLE alert (
  id TEXT PRIMARY KEY,
  workspace_id TEXT,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  -- sentence, action, action_sentence as JSON
  problem TEXT NOT NULL,
  raised_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  cleared_at BIGINT
);
CREATE UNIQUE INDEX alert_open ON alert (kind, subject) WHERE cleared_at IS NULL;
CREATE INDEX alert_by_workspace ON alert (workspace_id, raised_at);
