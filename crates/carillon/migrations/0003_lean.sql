-- What no question needs goes; what several questions ask alike is said once.

DROP INDEX circuit_open;

-- What counts as another post of a connection: it will go out, is going out or is live. The text is
-- looked for only by who asks for it.
CREATE VIEW in_the_way AS SELECT id, post_id, connection_id, scheduled_at, content_hash,
    coalesce(text, (SELECT post.text FROM post WHERE post.id = delivery.post_id)) AS text
  FROM delivery WHERE state IN ('queued', 'sending', 'waiting', 'unknown', 'published', 'held');
