-- The people on the receiving side: as 03_sender_users.sql, on the same topic, for the same reasons.
CREATE STREAM IF NOT EXISTS receiver_users WITH (
    KAFKA_TOPIC = 'users',
    VALUE_FORMAT = 'JSON'
) AS SELECT
    receiver_details->id AS record_key,
    AS_VALUE(receiver_details->id) AS id,
    receiver_details->name AS name,
    receiver_details->address AS address,
    receiver_details->email AS email,
    receiver_details->birthdate AS birthdate,
    receiver_details->phone_number AS phone_number,
    receiver_details->job AS job,
    receiver_details->company AS company,
    receiver_details->ssn AS ssn,
    receiver_details->blood_group AS blood_group,
    receiver_details->website AS website,
    receiver_details->username AS username,
    receiver_details->bank_account AS bank_account,
    'ksql' AS source_process
FROM fraudulent_transactions
WHERE receiver_details->id IS NOT NULL
PARTITION BY receiver_details->id
EMIT CHANGES;
