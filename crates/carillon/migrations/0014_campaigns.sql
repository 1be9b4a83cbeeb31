-- What is planned before it is posts: campaigns, and series of posts that come round.

CREATE TABLE campaign (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  -- what its posts were made from, as JSON: dates in wall-clock time of `timezone`
  form TEXT NOT NULL,
  timezone TEXT NOT NULL,
  state TEXT NOT NULL,
  -- the deliveries that cancelling it cancelled, as JSON: what an undo brings back
  cancelled TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX campaign_by_workspace ON campaign (workspace_id, id);

CREATE TABLE series (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  campaign_id TEXT REFERENCES campaign (id),
  -- IANA zone and wall-clock time: instants are worked out anew when the zone's own rules change
  timezone TEXT NOT NULL,
  start TEXT NOT NULL,
  -- RFC 5545, without what is left out and added by hand (JSON lists of wall-clock times)
  rule TEXT NOT NULL,
  without TEXT NOT NULL,
  also TEXT NOT NULL,
  -- nothing from this wall-clock time on: another series goes on there
  ends_before TEXT,
  -- the draft that each of its posts is made from, as JSON
  pattern TEXT NOT NULL,
  -- account:<id>, key:<id> or operator: who asks for an approval of its posts
  made_by TEXT,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX series_by_workspace ON series (workspace_id, id);
CREATE INDEX series_active ON series (id) WHERE state = 'active';
CREATE INDEX series_by_campaign ON series (campaign_id) WHERE campaign_id IS NOT NULL;

ALTER TABLE post ADD COLUMN campaign_id TEXT;
-- which of its campaign's it is: D-7, Launch
ALTER TABLE post ADD COLUMN slot TEXT;
ALTER TABLE post ADD COLUMN series_id TEXT;
-- of a series: the wall-clock time that it stands for, wherever it was moved
ALTER TABLE post ADD COLUMN occurrence TEXT;
-- since then it no longer follows its series
ALTER TABLE post ADD COLUMN detached_at BIGINT;
-- since then nothing of it goes out: its campaign or series is paused
ALTER TABLE post ADD COLUMN paused_at BIGINT;
-- However often a series is gone through, each of its instances is one post.
CREATE UNIQUE INDEX post_occurrence ON post (series_id, occurrence) WHERE series_id IS NOT NULL;
CREATE INDEX post_by_campaign ON post (campaign_id, scheduled_at) WHERE campaign_id IS NOT NULL;
