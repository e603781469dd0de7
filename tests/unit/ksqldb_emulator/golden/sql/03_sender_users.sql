-- The people on the sending side, keyed by their id, on the topic `users`.
-- Senders and receivers share that topic. The second stream could be an INSERT INTO the first one, but that is not
-- idempotent: run twice, it makes a second query, and every row comes twice. Two streams over one topic are.
-- `users` is not compacted: the broker refuses a record without a key on a compacted topic, and one such record would
-- stop the query for ever. WHERE keeps such records out as well (no sender, or a sender without an id).
CREATE STREAM IF NOT EXISTS sender_users WITH (
    KAFKA_TOPIC = 'users',
    VALUE_FORMAT = 'JSON'
) AS SELECT
    sender_details->id AS record_key,
    AS_VALUE(sender_details->id) AS id,
    sender_details->name AS name,
    sender_details->address AS address,
    sender_details->email AS email,
    sender_details->birthdate AS birthdate,
    sender_details->phone_number AS phone_number,
    sender_details->job AS job,
    sender_details->company AS company,
    sender_details->ssn AS ssn,
    sender_details->blood_group AS blood_group,
    sender_details->website AS website,
    sender_details->username AS username,
    sender_details->bank_account AS bank_account,
    'ksql' AS source_process
FROM fraudulent_transactions
WHERE sender_details->id IS NOT NULL
PARTITION BY sender_details->id
EMIT CHANGES;
