-- Drafts: the trash, what posts said before, snippets to write with, and who has one open.

-- account:<id>, key:<id> or operator; null: the work of a series
ALTER TABLE post ADD COLUMN deleted_by TEXT;
-- the deliveries that its deletion cancelled, each with the state that it was in, as JSON
ALTER TABLE post ADD COLUMN closed TEXT;
-- who wrote what it says now, and when; null in one from before that was kept
ALTER TABLE post ADD COLUMN written_by TEXT;
ALTER TABLE post ADD COLUMN written_at BIGINT;
CREATE INDEX post_trash ON post (workspace_id, deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX post_trash_end ON post (deleted_at) WHERE deleted_at IS NOT NULL;

-- What a post said before a change.
CREATE TABLE post_version (
  post_id TEXT NOT NULL REFERENCES post (id),
  version BIGINT NOT NULL,
  written_by TEXT,
  written_at BIGINT NOT NULL,
  -- text, title, media, thread and what each place has of its own, as JSON
  content TEXT NOT NULL,
  PRIMARY KEY (post_id, version)
);

-- What a workspace writes with again and again: templates, sets of hashtags, UTM presets.
CREATE TABLE snippet (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  -- lower case: names are told apart by it
  folded TEXT NOT NULL,
  body TEXT NOT NULL,
  -- account:<id>, key:<id> or operator
  changed_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  UNIQUE (workspace_id, kind, folded)
);

-- Who has a post open in the composer. It keeps nobody out.
CREATE TABLE post_lock (
  post_id TEXT NOT NULL REFERENCES post (id),
  -- account:<id> or key:<id>
  holder TEXT NOT NULL,
  since BIGINT NOT NULL,
  -- over by then, unless it is renewed
  until BIGINT NOT NULL,
  PRIMARY KEY (post_id, holder)
);
