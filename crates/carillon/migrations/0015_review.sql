-- Approvals: what may go out, who was asked about it, and what was said.

-- 1 while posts of this workspace need an approval: its policies say which. Beside them, so that
-- an intent can ask in its own statement.
ALTER TABLE workspace ADD COLUMN gated BIGINT NOT NULL DEFAULT 0;
-- May this key approve? 1 or 0.
ALTER TABLE api_key ADD COLUMN may_approve BIGINT NOT NULL DEFAULT 0;

CREATE TABLE review (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  post_id TEXT NOT NULL REFERENCES post (id),
  -- internal, client
  stage TEXT NOT NULL,
  -- open, approved, changes_requested, voided
  state TEXT NOT NULL,
  -- what it is about: a hash of what each delivery shows, by the delivery's id, as JSON
  content TEXT NOT NULL,
  -- the same in words, as JSON: what a later review is compared with
  shown TEXT NOT NULL,
  note TEXT,
  -- account:<id>, key:<id> or operator; null: the work of a series or an import
  requested_by TEXT,
  requested_at BIGINT NOT NULL,
  -- as requested_by, or client:<id of the link>
  decided_by TEXT,
  decided_at BIGINT,
  -- of a voided one: edited, media_changed, withdrawn, cancelled, asked_again, turned_off, …
  why TEXT
);
CREATE UNIQUE INDEX review_open ON review (post_id) WHERE state = 'open';
CREATE INDEX review_by_post ON review (post_id, id);
CREATE INDEX review_waiting ON review (workspace_id, id) WHERE state = 'open';

CREATE TABLE review_comment (
  id TEXT PRIMARY KEY,
  review_id TEXT NOT NULL REFERENCES review (id),
  at BIGINT NOT NULL,
  author TEXT NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX review_comment_by_review ON review_comment (review_id, id);

-- A page for a client without an account. Only the hash of its token is kept.
CREATE TABLE review_link (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  hash TEXT NOT NULL UNIQUE,
  -- the client's name, as whoever made the link gave it
  name TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT,
  -- when it was last opened
  used_at BIGINT
);
CREATE INDEX review_link_by_workspace ON review_link (workspace_id, id);
CREATE TABLE review_link_post (
  link_id TEXT NOT NULL REFERENCES review_link (id),
  post_id TEXT NOT NULL REFERENCES post (id),
  PRIMARY KEY (link_id, post_id)
);

-- A post that waits for its approval keeps its place in the calendar.
DROP VIEW in_the_way;
CREATE VIEW in_the_way AS SELECT id, post_id, connection_id, scheduled_at, content_hash,
    coalesce(text, (SELECT post.text FROM post WHERE post.id = delivery.post_id)) AS text
  FROM delivery WHERE state IN ('queued', 'sending', 'waiting', 'unknown', 'published', 'held')
    OR (state = 'draft' AND (SELECT post.committed_at FROM post WHERE post.id = delivery.post_id) IS NOT NULL);
