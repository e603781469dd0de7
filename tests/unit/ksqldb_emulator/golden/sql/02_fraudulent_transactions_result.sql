-- One row a fraudulent transaction, keyed by its id.
-- PARTITION BY moves a column out of the value and into the key; AS_VALUE keeps a copy of it in the value.
-- A record without an id would have a null key, which no store downstream can file: it is left out.
CREATE STREAM IF NOT EXISTS fraudulent_transactions_result WITH (
    KAFKA_TOPIC = 'fraudulent-transactions-result',
    VALUE_FORMAT = 'JSON'
) AS SELECT
    transaction_id AS record_key,
    AS_VALUE(transaction_id) AS transaction_id,
    sender_bank_account,
    sender_details->id AS sender_id,
    receiver_bank_account,
    receiver_details->id AS receiver_id,
    amount,
    status,
    evaluation,
    transfer_date,
    sender_bank,
    'ksql' AS source_process
FROM fraudulent_transactions
WHERE transaction_id IS NOT NULL
PARTITION BY transaction_id
EMIT CHANGES;
