-- Each stored row of a transaction with its sender and receiver. S3 keeps every row that was ever written, and a user's is
-- written for each of their transactions: athena_join_one_row.sql has one row per transaction.

SELECT
  t.transaction_id,
  t.sender_bank_account,
  t.receiver_bank_account,
  t.amount,
  t.status,
  t.evaluation,
  t.transfer_date,
  t.sender_bank,
  t.source_process,
  sender.name AS sender_name,
  sender.address AS sender_address,
  sender.email AS sender_email,
  receiver.name AS receiver_name,
  receiver.address AS receiver_address,
  receiver.email AS receiver_email
FROM raw_fraudulent_transactions_result AS t
LEFT JOIN raw_users AS sender ON sender.id = t.sender_id
LEFT JOIN raw_users AS receiver ON receiver.id = t.receiver_id
