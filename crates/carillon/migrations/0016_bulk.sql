-- Many posts in and out: imports, feeds that become posts, the calendar as a feed.

CREATE TABLE import (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  format TEXT NOT NULL,
  -- draft, scheduled
  made_as TEXT NOT NULL,
  -- account:<id>, key:<id> or operator
  actor TEXT NOT NULL,
  total BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  -- null while it runs, or when its process ended in the middle
  finished_at BIGINT,
  undone_at BIGINT
);
CREATE INDEX import_by_workspace ON import (workspace_id, id);

CREATE TABLE import_row (
  import_id TEXT NOT NULL REFERENCES import (id),
  line BIGINT NOT NULL,
  -- of what stands in the row, so that the same file is known again
  hash TEXT NOT NULL,
  -- made, known, left_out, refused
  outcome TEXT NOT NULL,
  post_id TEXT,
  -- what was found, as JSON
  notes TEXT NOT NULL,
  PRIMARY KEY (import_id, line)
);
CREATE INDEX import_row_known ON import_row (hash) WHERE post_id IS NOT NULL;

CREATE TABLE feed (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  -- ids of connections, as JSON
  connections TEXT NOT NULL,
  template TEXT NOT NULL,
  -- draft, queue
  made_as TEXT NOT NULL,
  every_min BIGINT NOT NULL,
  -- most posts of one poll, and how many entries the first poll takes
  most BIGINT NOT NULL,
  at_first BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  polled_at BIGINT,
  etag TEXT,
  modified TEXT,
  -- why the last poll failed, as JSON, and since when all of them do
  problem TEXT,
  failing_since BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX feed_by_workspace ON feed (workspace_id, id);
CREATE INDEX feed_due ON feed (next_at);

CREATE TABLE feed_entry (
  feed_id TEXT NOT NULL REFERENCES feed (id),
  -- of its id, or of its link
  hash TEXT NOT NULL,
  post_id TEXT,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (feed_id, hash)
);

-- The secret address under which a workspace's calendar is read.
CREATE TABLE calendar_link (
  workspace_id TEXT PRIMARY KEY REFERENCES workspace (id),
  -- SHA-256 of the token
  hash TEXT NOT NULL,
  drafts BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  read_at BIGINT
);
CREATE UNIQUE INDEX calendar_link_hash ON calendar_link (hash);

-- Files name media by their names.
CREATE INDEX media_by_name ON media (workspace_id, name) WHERE deleted_at IS NULL;
