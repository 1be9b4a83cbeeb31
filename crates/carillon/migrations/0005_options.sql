-- What a delivery is told beside its text and media: answers to its placement's options, as a JSON object.
ALTER TABLE delivery ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
