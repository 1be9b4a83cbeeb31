-- Apps at networks, consents under way, and how long a connection's tokens last.

-- The operator's app at a network.
CREATE TABLE network_app (
  network TEXT NOT NULL,
  -- where a network is many servers the one that knows the app; empty for all others
  server TEXT NOT NULL,
  client_id TEXT NOT NULL,
  -- sealed with the key ring
  secret TEXT NOT NULL,
  -- of an app that was registered by itself: another address of ours needs another app
  redirect_uri TEXT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (network, server)
);

-- Somebody was sent to a consent page.
CREATE TABLE consent (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  account_id TEXT NOT NULL REFERENCES account (id),
  network TEXT NOT NULL,
  -- empty where the network is one
  server TEXT NOT NULL,
  -- the connection that is to work again, if it is one that is there
  connection_id TEXT,
  -- of the state that comes back, once
  state_hash TEXT NOT NULL UNIQUE,
  redirect_uri TEXT NOT NULL,
  -- the verifier; once the page led back the tokens, until a target is chosen; then empty
  sealed TEXT NOT NULL,
  problem TEXT,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  returned_at BIGINT,
  ended_at BIGINT
);
CREATE INDEX consent_by_time ON consent (expires_at);

-- When the access token ends and when what renews it does; null where nobody knows, or never.
ALTER TABLE connection ADD COLUMN expires_at BIGINT;
ALTER TABLE connection ADD COLUMN refresh_expires_at BIGINT;
-- when its tokens were issued
ALTER TABLE connection ADD COLUMN refreshed_at BIGINT;
-- grows whenever its secrets become others: who read an older one writes nothing
ALTER TABLE connection ADD COLUMN token_version BIGINT NOT NULL DEFAULT 0;
-- when the tokens are renewed next, how often that failed, until when somebody is at it
ALTER TABLE connection ADD COLUMN renew_at BIGINT;
ALTER TABLE connection ADD COLUMN renew_tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connection ADD COLUMN renewing_until BIGINT;
-- why they cannot be renewed, as JSON
ALTER TABLE connection ADD COLUMN renew_problem TEXT;
-- when it stops working unless a person connects it again, and how many days before that its owner
-- was last told
ALTER TABLE connection ADD COLUMN ends_at BIGINT;
ALTER TABLE connection ADD COLUMN told_days BIGINT;
CREATE INDEX connection_to_renew ON connection (renew_at) WHERE renew_at IS NOT NULL;
CREATE INDEX connection_ending ON connection (ends_at) WHERE ends_at IS NOT NULL;
