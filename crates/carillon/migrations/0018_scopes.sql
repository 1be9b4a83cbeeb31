-- What a connection's network granted when it was asked for consent: scopes, as a JSON list.
ALTER TABLE connection ADD COLUMN scopes TEXT;
