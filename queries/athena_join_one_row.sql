-- The same columns as athena_join.sql, one row per transaction: of the stored rows with one id, one is taken. A line that is
-- no JSON is a row of NULLs, and an amount that no double holds is infinite: both are left out.

WITH
  one_transaction AS (
    SELECT *, row_number() OVER (PARTITION BY transaction_id ORDER BY source_process) AS occurrence
    FROM raw_fraudulent_transactions_result
    WHERE transaction_id IS NOT NULL AND abs(amount) <= 1.7976931348623157E308
  ),
  one_user AS (
    SELECT *, row_number() OVER (PARTITION BY id ORDER BY name) AS occurrence
    FROM raw_users
  )
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
FROM one_transaction AS t
LEFT JOIN one_user AS sender ON sender.id = t.sender_id AND sender.occurrence = 1
LEFT JOIN one_user AS receiver ON receiver.id = t.receiver_id AND receiver.occurrence = 1
WHERE t.occurrence = 1
ORDER BY t.transfer_date, t.transaction_id
