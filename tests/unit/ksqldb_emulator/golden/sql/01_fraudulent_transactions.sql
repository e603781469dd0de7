-- The transactions that the ingestor found fraudulent, as they came: names in lower case, one JSON object a record.
-- ksqlDB reads field names in any case, and gives a column without a field null.
-- There is no KEY column: the record's key is not needed, each stream below takes its key from the value.
-- PARTITIONS is left out: init_kafka.py has made the topic, with one setting for the number of partitions.
CREATE STREAM IF NOT EXISTS fraudulent_transactions (
    transaction_id VARCHAR,
    sender_bank_account VARCHAR,
    sender_details STRUCT<
        id VARCHAR,
        name VARCHAR,
        address VARCHAR,
        email VARCHAR,
        birthdate VARCHAR,
        phone_number VARCHAR,
        job VARCHAR,
        company VARCHAR,
        ssn VARCHAR,
        blood_group VARCHAR,
        website VARCHAR,
        username VARCHAR,
        bank_account VARCHAR
    >,
    receiver_bank_account VARCHAR,
    receiver_details STRUCT<
        id VARCHAR,
        name VARCHAR,
        address VARCHAR,
        email VARCHAR,
        birthdate VARCHAR,
        phone_number VARCHAR,
        job VARCHAR,
        company VARCHAR,
        ssn VARCHAR,
        blood_group VARCHAR,
        website VARCHAR,
        username VARCHAR,
        bank_account VARCHAR
    >,
    amount DOUBLE,
    status VARCHAR,
    evaluation VARCHAR,
    transfer_date VARCHAR,
    sender_bank VARCHAR
) WITH (
    KAFKA_TOPIC = 'fraudulent-transactions',
    VALUE_FORMAT = 'JSON'
);
