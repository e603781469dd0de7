-- The two tables over the S3 folders, for Amazon Athena (engine version 3). One folder is one table.
-- Defined by hand: a crawler guesses types from samples, and takes the folders for one table.
-- The SerDe matches the upper-case names in the objects without regard to case, and reads .gz by its ending.

CREATE EXTERNAL TABLE IF NOT EXISTS transactions (
  transaction_id string,
  sender_bank_account string,
  sender_id string,
  receiver_bank_account string,
  receiver_id string,
  amount double,
  status string,
  evaluation string,
  transfer_date string,
  sender_bank string,
  source_process string
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION 's3://test0001-fraudulent-transactions-raw/fraudulent-transactions/fraudulent-transactions-result/';

CREATE EXTERNAL TABLE IF NOT EXISTS users (
  id string,
  name string,
  address string,
  email string,
  birthdate string,
  phone_number string,
  job string,
  company string,
  ssn string,
  blood_group string,
  website string,
  username string,
  bank_account string,
  source_process string
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION 's3://test0001-fraudulent-transactions-raw/fraudulent-transactions/users/';
