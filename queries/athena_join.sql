-- One row a transaction, sender and receiver by name. S3 keeps every row that was ever written, so a user is there once
-- for every transaction that names them: of the rows with one id, one is taken.

WITH
  one_transaction AS (
    SELECT *, row_number() OVER (PARTITION BY transaction_id ORDER BY source_process) AS occurrence
    FROM transactions
  ),
  one_user AS (
    SELECT id, name, row_number() OVER (PARTITION BY id ORDER BY name) AS occurrence
    FROM users
  )
SELECT
  t.transaction_id,
  t.transfer_date,
  t.amount,
  t.status,
  t.sender_bank,
  sender.name AS sender_name,
  t.sender_bank_account,
  receiver.name AS receiver_name,
  t.receiver_bank_account,
  t.source_process
FROM one_transaction AS t
LEFT JOIN one_user AS sender ON sender.id = t.sender_id AND sender.occurrence = 1
LEFT JOIN one_user AS receiver ON receiver.id = t.receiver_id AND receiver.occurrence = 1
WHERE t.occurrence = 1 AND t.transaction_id IS NOT NULL
ORDER BY t.transfer_date, t.transaction_id
