-- A file that arrives in pieces. Its id becomes the medium's.
CREATE TABLE upload (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  alt TEXT NOT NULL,
  -- as its client gave it, and is given it back
  metadata TEXT NOT NULL,
  length BIGINT NOT NULL,
  -- what is safe in the store: raised by compare and set, so that of two writers one wins
  received BIGINT NOT NULL,
  -- the state of SHA-256 after those bytes
  digest TEXT NOT NULL,
  -- where the store keeps them, as JSON
  staging TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  -- 0 once it is cancelled
  expires_at BIGINT NOT NULL,
  -- since then it is a medium
  finished_at BIGINT
);
CREATE INDEX upload_by_expiry ON upload (expires_at);
