-- Times are ms since 1970 UTC, ids UUIDv7 text, JSON is text; a nullable time says more than a boolean.

CREATE TABLE workspace (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  timezone TEXT NOT NULL,
  demo_at BIGINT,
  created_at BIGINT NOT NULL
);

CREATE TABLE account (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  password_hash TEXT,
  created_at BIGINT NOT NULL
);

CREATE TABLE member (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  account_id TEXT NOT NULL REFERENCES account (id),
  role TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, account_id)
);

-- Only hashes of what opens a door are kept.
CREATE TABLE session (
  hash TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES account (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);

CREATE TABLE login_link (
  hash TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES account (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  used_at BIGINT,
  revoked_at BIGINT
);

CREATE TABLE connection (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  network TEXT NOT NULL,
  name TEXT NOT NULL,
  remote_id TEXT NOT NULL,
  settings TEXT NOT NULL,
  -- JSON sealed with the key ring; empty once disconnected
  secrets TEXT NOT NULL,
  -- set while the owner has to act; its deliveries wait
  broken_at BIGINT,
  problem TEXT,
  checked_at BIGINT,
  published_at BIGINT,
  created_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE INDEX connection_by_workspace ON connection (workspace_id, created_at);

CREATE TABLE media (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  alt TEXT NOT NULL,
  content_type TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  state TEXT NOT NULL,
  problem TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE INDEX media_by_workspace ON media (workspace_id, id);
CREATE INDEX media_unready ON media (updated_at) WHERE state IN ('pending', 'processing');

CREATE TABLE derivative (
  media_id TEXT NOT NULL REFERENCES media (id),
  kind TEXT NOT NULL,
  width BIGINT NOT NULL,
  height BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (media_id, kind)
);

CREATE TABLE post (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  text TEXT NOT NULL,
  title TEXT,
  -- null while it is a draft
  committed_at BIGINT,
  scheduled_at BIGINT,
  timezone TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE INDEX post_by_time ON post (workspace_id, scheduled_at, id) WHERE deleted_at IS NULL;

CREATE TABLE post_media (
  post_id TEXT NOT NULL REFERENCES post (id),
  position BIGINT NOT NULL,
  media_id TEXT NOT NULL REFERENCES media (id),
  PRIMARY KEY (post_id, position)
);
CREATE INDEX post_media_by_media ON post_media (media_id);

CREATE TABLE delivery (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  post_id TEXT NOT NULL REFERENCES post (id),
  connection_id TEXT NOT NULL REFERENCES connection (id),
  network TEXT NOT NULL,
  placement TEXT NOT NULL,
  position BIGINT NOT NULL,
  -- null: the post's text
  text TEXT,
  scheduled_at BIGINT,
  state TEXT NOT NULL,
  -- the source of idempotency keys and markers: stable over every try
  send_key TEXT NOT NULL,
  checkpoints TEXT NOT NULL,
  -- when the visible call of the present try may have begun
  intent_at BIGINT,
  -- how many tries counted against the retry budget
  tries BIGINT NOT NULL,
  -- how many looks at the network since the outcome became unknown
  looks BIGINT NOT NULL,
  next_attempt_at BIGINT,
  cancel_wish_at BIGINT,
  remote_id TEXT,
  remote_url TEXT,
  published_at BIGINT,
  problem TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX delivery_by_post ON delivery (post_id, position);
CREATE INDEX delivery_by_connection ON delivery (connection_id, state);
-- One post at the network belongs to one delivery of ours.
CREATE UNIQUE INDEX delivery_by_remote ON delivery (connection_id, remote_id) WHERE remote_id IS NOT NULL;

-- The send journal: what was tried, what came back.
CREATE TABLE attempt (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  delivery_id TEXT NOT NULL REFERENCES delivery (id),
  fence BIGINT NOT NULL,
  step TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  outcome TEXT,
  -- class, sentence, action, status, code, request id of an error, as JSON
  error TEXT,
  remote_id TEXT,
  request_hash TEXT,
  next_attempt_at BIGINT
);
CREATE INDEX attempt_by_delivery ON attempt (delivery_id, id);

-- Durable work. ready → leased → done | dead, or back to ready.
CREATE TABLE job (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  lane TEXT NOT NULL,
  subject TEXT NOT NULL,
  payload TEXT NOT NULL,
  unique_key TEXT UNIQUE,
  state TEXT NOT NULL,
  run_at BIGINT NOT NULL,
  -- grows with every claim; later writes name it
  fence BIGINT NOT NULL,
  lease_owner TEXT,
  lease_until BIGINT,
  claimed_at BIGINT,
  tries BIGINT NOT NULL,
  error TEXT,
  created_at BIGINT NOT NULL,
  finished_at BIGINT
);
CREATE INDEX job_ready ON job (lane, run_at, id) WHERE state = 'ready';
CREATE INDEX job_leased ON job (lane) WHERE state = 'leased';
CREATE INDEX job_lease_end ON job (lease_until) WHERE state = 'leased';
CREATE INDEX job_finished ON job (finished_at) WHERE state IN ('done', 'dead');
CREATE INDEX job_by_subject ON job (subject);

-- One row a lane: what work is grouped by, and what holds it back.
CREATE TABLE gate (
  lane TEXT PRIMARY KEY,
  pool TEXT NOT NULL,
  -- how many jobs of the lane may be in flight at once
  width BIGINT NOT NULL,
  -- when the lane next wants a worker; null: not before something changes (full or paused)
  next_at BIGINT,
  -- not before this time (the network's own wait)
  open_at BIGINT NOT NULL,
  paused_at BIGINT,
  paused_why TEXT
);
CREATE INDEX gate_next ON gate (pool, next_at) WHERE next_at IS NOT NULL;

-- The outbox: written with what it tells of, read by live feeds.
CREATE TABLE event (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX event_by_workspace ON event (workspace_id, at);
CREATE INDEX event_by_time ON event (at);

-- Answers to writes that carried an Idempotency-Key.
CREATE TABLE idempotency (
  workspace_id TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  status BIGINT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, idempotency_key)
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);

CREATE TABLE node (
  id TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
);
